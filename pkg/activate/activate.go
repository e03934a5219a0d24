// Package activate takes the one connection that systemd hands to a relay.
//
// A socket unit with Accept=yes starts one process per connection and passes
// the connected socket as file descriptor 3 with LISTEN_FDS=1 and LISTEN_PID
// (sd_listen_fds(3)); with StandardInput=socket it is standard input as well,
// and, unless the unit says otherwise, standard output and error, too
// (systemd.exec(5)).
package activate

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// ErrNotActivated says that the process was not started for a connection.
var ErrNotActivated = errors.New("no connection from systemd: this program is started by its socket unit, " +
	"for a try by: systemd-socket-activate --accept --listen=SOCKET PROGRAM")

// Connection returns the connection the process was started for, and removes
// LISTEN_* from the environment, so that no child takes it for its own. It
// fails with [ErrNotActivated] where there is no connected stream socket, or
// more than one.
//
// Descriptors 0 to 2 are /dev/null afterwards where they were that connection:
// a line on standard error must not get into the stream, and the peer must see
// the end of the connection when it is closed.
func Connection() (net.Conn, error) {
	files := handedOver()
	switch len(files) {
	case 0:
		if !connected(unix.Stdin) {
			return nil, ErrNotActivated
		}
		return take(os.Stdin)
	case 1:
		// The connection is a duplicate; the peer never sees the end of it
		// while this one is open.
		defer files[0].Close()
		if !connected(int(files[0].Fd())) {
			return nil, fmt.Errorf("file descriptor 3 is not a connected stream socket (does the socket unit say Accept=yes?): %w", ErrNotActivated)
		}
		return take(files[0])
	default:
		return nil, fmt.Errorf("got %d sockets, want one (does the socket unit say Accept=yes?): %w", len(files), ErrNotActivated)
	}
}

// SocketPath returns the path on which the socket listens that conn was
// accepted from, "" where it has none (a socketpair, an abstract name, TCP).
func SocketPath(conn net.Conn) string {
	addr, ok := conn.LocalAddr().(*net.UnixAddr)
	if !ok || addr == nil || strings.HasPrefix(addr.Name, "@") {
		return ""
	}
	return addr.Name
}

func take(f *os.File) (net.Conn, error) {
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("taking the connection from systemd: %w", err)
	}
	if err := detach(conn); err != nil {
		conn.Close()
		return nil, fmt.Errorf("taking the connection off the standard streams: %w", err)
	}
	return conn, nil
}

// detach puts /dev/null in the place of each standard stream that is conn.
func detach(conn net.Conn) error {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return fmt.Errorf("%T has no descriptor", conn)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return err
	}
	var own unix.Stat_t
	var statErr error
	if err := raw.Control(func(fd uintptr) { statErr = unix.Fstat(int(fd), &own) }); err != nil || statErr != nil {
		return errors.Join(err, statErr)
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	for fd := unix.Stdin; fd <= unix.Stderr; fd++ {
		var st unix.Stat_t
		if unix.Fstat(fd, &st) != nil || st.Dev != own.Dev || st.Ino != own.Ino {
			continue
		}
		if err := unix.Dup3(int(null.Fd()), fd, 0); err != nil {
			return err
		}
	}
	return nil
}

func connected(fd int) bool {
	if typ, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE); err != nil || typ != unix.SOCK_STREAM {
		return false
	}
	if listening, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err != nil || listening != 0 {
		return false
	}
	_, err := unix.Getpeername(fd)
	return err == nil
}
