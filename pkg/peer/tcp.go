package peer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrGone says that the other end of a connection belongs to nobody any more.
var ErrGone = errors.New("the other end is closed")

// Owner is the socket at the other end of a TCP connection inside this machine.
type Owner struct {
	UID   int
	Inode uint32 // never 0
}

// OfTCP returns who owns the other end of a TCP connection whose two ends are in
// this network namespace. It asks the kernel for that very socket (sock_diag(7),
// NETLINK_SOCK_DIAG), which any user may: a look into /proc/net/tcp takes forty
// times as long, and is of another moment.
//
// Of a socket that was closed already the kernel says "user 0, inode 0": that is
// [ErrGone], and not root.
func OfTCP(conn net.Conn) (Owner, error) {
	ours, ok := conn.LocalAddr().(*net.TCPAddr)
	theirs, ok2 := conn.RemoteAddr().(*net.TCPAddr)
	if !ok || !ok2 {
		return Owner{}, errors.New("asking who connected: not a TCP connection")
	}
	// The client's socket is of IPv4 if its address is, whatever ours is.
	owner, err := lookUp(unmapped(theirs), unmapped(ours))
	if err != nil {
		return Owner{}, fmt.Errorf("asking who connected: %w", err)
	}
	return owner, nil
}

func unmapped(a *net.TCPAddr) netip.AddrPort {
	ap := a.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port())
}

// Sizes and offsets of struct nlmsghdr (linux/netlink.h), inet_diag_req_v2 and
// inet_diag_msg (linux/inet_diag.h).
const (
	headerSize  = 16
	requestSize = 56
	uidAt       = headerSize + 4 + 48 + 12
	inodeAt     = headerSize + 4 + 48 + 16

	sequence = 1
)

// lookUp finds the one socket with these ends.
func lookUp(source, destination netip.AddrPort) (Owner, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return Owner{}, err
	}
	defer func() { _ = unix.Close(fd) }() // a socket of our own
	// The answer is there when the request has been sent: the kernel makes it in
	// between.
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 1}); err != nil {
		return Owner{}, err
	}
	if err := unix.Sendto(fd, diagRequest(source, destination), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return Owner{}, err
	}
	answer := make([]byte, 4096)
	for {
		n, from, err := unix.Recvfrom(fd, answer, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return Owner{}, err
		}
		if kernel, ok := from.(*unix.SockaddrNetlink); ok && kernel.Pid == 0 {
			return parseDiag(answer[:n])
		}
	}
}

func diagRequest(source, destination netip.AddrPort) []byte {
	m := make([]byte, headerSize+requestSize)
	binary.NativeEndian.PutUint32(m[0:], uint32(len(m)))
	binary.NativeEndian.PutUint16(m[4:], unix.SOCK_DIAG_BY_FAMILY)
	binary.NativeEndian.PutUint16(m[6:], unix.NLM_F_REQUEST) // no dump: exactly one
	binary.NativeEndian.PutUint32(m[8:], sequence)
	r := m[headerSize:]
	r[0], r[1] = unix.AF_INET6, unix.IPPROTO_TCP
	if source.Addr().Is4() {
		r[0] = unix.AF_INET
	}
	binary.NativeEndian.PutUint32(r[4:], 0xffffffff) // in any state
	binary.BigEndian.PutUint16(r[8:], source.Port())
	binary.BigEndian.PutUint16(r[10:], destination.Port())
	copy(r[12:28], source.Addr().AsSlice())
	copy(r[28:44], destination.Addr().AsSlice())
	// Interface 0, any; and no cookie: all ones.
	binary.NativeEndian.PutUint64(r[48:], ^uint64(0))
	return m
}

func parseDiag(answer []byte) (Owner, error) {
	if len(answer) < headerSize+4 || binary.NativeEndian.Uint32(answer[8:]) != sequence {
		return Owner{}, errors.New("an answer that is none")
	}
	switch binary.NativeEndian.Uint16(answer[4:]) {
	case unix.NLMSG_ERROR:
		errno := unix.Errno(-int32(binary.NativeEndian.Uint32(answer[headerSize:])))
		if errno == unix.ENOENT {
			return Owner{}, ErrGone
		}
		return Owner{}, errno
	case unix.SOCK_DIAG_BY_FAMILY:
	default:
		return Owner{}, errors.New("an answer of another kind")
	}
	if len(answer) < inodeAt+4 {
		return Owner{}, errors.New("an answer cut short")
	}
	o := Owner{UID: int(binary.NativeEndian.Uint32(answer[uidAt:])), Inode: binary.NativeEndian.Uint32(answer[inodeAt:])}
	if o.Inode == 0 {
		return Owner{}, ErrGone
	}
	return o, nil
}

// Process looks for a process of this user that has the socket open, and returns
// its number, 0 if there is none to be seen. It takes some milliseconds, and names
// one of several that share the socket: for a label, not for a decision.
func (o Owner) Process() int {
	want := fmt.Sprintf("socket:[%d]", o.Inode)
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		dir := filepath.Join("/proc", e.Name(), "fd")
		files, err := os.ReadDir(dir)
		if err != nil {
			continue // another user's, or gone
		}
		for _, f := range files {
			if to, err := os.Readlink(filepath.Join(dir, f.Name())); err == nil && to == want {
				return pid
			}
		}
	}
	return 0
}

// Exe returns the path of the program that a process of this user runs, "" if it
// is not known. The process chose to run it: a label.
func Exe(pid int) (untrusted string) {
	if pid <= 0 {
		return ""
	}
	path, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(path, " (deleted)")
}

// Comm returns the name that a process has given itself: at most 15 bytes of
// printable ASCII, "" if it is not known.
func Comm(pid int) string { return comm(pid) }
