// Package peer says who is at the other end of a connection inside this machine.
//
// Only the numeric ids are facts the kernel vouches for (SO_PEERCRED of unix(7), and
// sock_diag(7) for TCP); the names of command and program are the process's own
// choice, and may belong to another process by the time they are read. They serve
// the journal, never a decision.
package peer

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// Peer is the process that connected.
type Peer struct {
	UID, PID int
	Comm     string // at most 15 bytes, printable ASCII, "" if unknown
}

// ErrNotUnix says that the connection is not a Unix socket.
var ErrNotUnix = errors.New("not a unix socket")

// Of returns the process that made the connection.
func Of(conn net.Conn) (Peer, error) {
	uc, ok := conn.(*net.UnixConn)
	if !ok {
		return Peer{}, fmt.Errorf("asking who connected: %w", ErrNotUnix)
	}
	raw, err := uc.SyscallConn()
	if err != nil {
		return Peer{}, fmt.Errorf("asking who connected: %w", err)
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return Peer{}, fmt.Errorf("asking who connected: %w", err)
	}
	if credErr != nil {
		return Peer{}, fmt.Errorf("asking who connected: %w", credErr)
	}
	return Peer{UID: int(cred.Uid), PID: int(cred.Pid), Comm: comm(int(cred.Pid))}, nil
}

func comm(pid int) string {
	untrusted, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return ""
	}
	untrusted = bytes.TrimSuffix(untrusted, []byte("\n"))
	untrusted = untrusted[:min(len(untrusted), 15)]
	return string(bytes.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e {
			return '_'
		}
		return r
	}, untrusted))
}
