package peer

import (
	"encoding/binary"
	"errors"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// pair returns both ends of a connection to an address.
func pair(t *testing.T, network, address string) (client, server net.Conn) {
	t.Helper()
	listener, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	client, err = net.Dial("tcp", strings.Replace(listener.Addr().String(), "[::]", "127.0.0.1", 1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	server, err = listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return client, server
}

func TestOfTCPIsTheUserAtTheOtherEnd(t *testing.T) {
	t.Parallel()
	for name, at := range map[string][2]string{
		"IPv4": {"tcp4", "127.0.0.1:0"}, "IPv6": {"tcp6", "[::1]:0"}, "IPv4 on a socket for both": {"tcp", "[::]:0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, server := pair(t, at[0], at[1])
			owner, err := OfTCP(server)
			if err != nil || owner.UID != os.Getuid() || owner.Inode == 0 {
				t.Fatalf("%+v, %v", owner, err)
			}
			if pid := owner.Process(); pid != os.Getpid() {
				t.Errorf("process %d, want %d", pid, os.Getpid())
			}
			if exe, err := os.Executable(); err != nil || Exe(owner.Process()) != exe {
				t.Errorf("program %q, want %q, %v", Exe(owner.Process()), exe, err)
			}
		})
	}
}

// The kernel names no owner then, and its "user 0" is not root.
func TestOfTCPAfterTheClientHasClosedIsNobody(t *testing.T) { //nolint:paralleltest // a program that another test starts has the client's socket until it is executed
	for _, network := range []string{"tcp4", "tcp6"} {
		client, server := pair(t, network, map[string]string{"tcp4": "127.0.0.1:0", "tcp6": "[::1]:0"}[network])
		client.Close()
		if owner, err := OfTCP(server); !errors.Is(err, ErrGone) {
			t.Errorf("%s: %+v, %v, want ErrGone", network, owner, err)
		}
	}
}

// A client that only stopped sending is still there.
func TestOfTCPKnowsAHalfCloseFromAClose(t *testing.T) {
	t.Parallel()
	client, server := pair(t, "tcp4", "127.0.0.1:0")
	if err := client.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if owner, err := OfTCP(server); err != nil || owner.UID != os.Getuid() {
		t.Errorf("%+v, %v", owner, err)
	}
}

// Another user's connection is another user's. (As root, with a client that is
// user 65534.)
func TestOfTCPOfAnotherUser(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("needs root, to be somebody else")
	}
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	cmd := exec.CommandContext(t.Context(), "/bin/bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/"+port+"; read x <&3")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if owner, err := OfTCP(conn); err != nil || owner.UID != 65534 {
		t.Errorf("%+v, %v", owner, err)
	}
	conn.Close()
	_ = cmd.Wait() // its read fails
}

func TestWhatIsNoAnswerOfTheKernelIsNobody(t *testing.T) {
	t.Parallel()
	answer := func(kind uint16, seq uint32, size int) []byte {
		b := make([]byte, size)
		binary.NativeEndian.PutUint16(b[4:], kind)
		binary.NativeEndian.PutUint32(b[8:], seq)
		return b
	}
	for name, b := range map[string][]byte{
		"nothing":        {},
		"cut short":      answer(unix.SOCK_DIAG_BY_FAMILY, sequence, inodeAt),
		"another's":      answer(unix.SOCK_DIAG_BY_FAMILY, sequence+1, 200),
		"of other kind":  answer(unix.NLMSG_DONE, sequence, 200),
		"user 0 inode 0": answer(unix.SOCK_DIAG_BY_FAMILY, sequence, 200),
	} {
		if owner, err := parseDiag(b); err == nil {
			t.Errorf("%s: %+v", name, owner)
		}
	}
	if _, err := OfTCP(&net.UnixConn{}); err == nil {
		t.Error("a unix socket has an owner by TCP")
	}
}

func FuzzDiag(f *testing.F) {
	whole := make([]byte, inodeAt+4)
	binary.NativeEndian.PutUint16(whole[4:], unix.SOCK_DIAG_BY_FAMILY)
	binary.NativeEndian.PutUint32(whole[8:], sequence)
	whole[inodeAt] = 1
	f.Add(whole)
	f.Fuzz(func(t *testing.T, b []byte) {
		if owner, err := parseDiag(b); err == nil && (owner.Inode == 0 || owner.UID < 0) {
			t.Errorf("%+v", owner)
		}
	})
}
