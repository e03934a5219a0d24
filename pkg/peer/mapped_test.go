package peer

import (
	"net"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// Programs in Java and others have sockets for both kinds of address.
func TestOfTCPOfAClientWhoseSocketIsForBothKindsOfAddress(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	to := &unix.SockaddrInet6{Port: listener.Addr().(*net.TCPAddr).Port, Addr: [16]byte{10: 0xff, 0xff, 127, 0, 0, 1}}
	if err := unix.Connect(fd, to); err != nil {
		t.Fatal(err)
	}
	server, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	if owner, err := OfTCP(server); err != nil || owner.UID != os.Getuid() || owner.Inode == 0 {
		t.Errorf("%+v, %v", owner, err)
	}
}
