package confine

import (
	"errors"
	"fmt"

	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// maxServerFiles is enough for as many who wait for one answer as a socket unit lets in.
const maxServerFiles = 256

// Reach is what a [Server] keeps beside what it has open.
type Reach struct {
	// Dirs are trees in which files and Unix sockets may be made, used and removed.
	Dirs []string
	// Port is the only one to which TCP may connect; 0: no TCP at all.
	Port uint16
}

// Server confines a program that connects to its backend once for each request, and
// so after it has read hostile bytes: what [Guard] takes, but for files in these
// directories, streams to Unix sockets, and to one port of TCP.
//
// It cannot tell one Unix socket from another by its path, nor one address from
// another by its number, and a port may be listened on that the kernel chooses:
// file permissions and the unit's sandbox are for that.
//
// It must be called before any untrusted byte is read; an error means that the process
// is to end. gaps are the layers that this kernel has not, in words: the rest stands,
// and they are to be said in the journal.
func Server(r Reach) (gaps []string, err error) {
	if err := limits(maxServerFiles); err != nil {
		return nil, err
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("forbidding ptrace: %w", err)
	}
	ruleset, gaps, err := r.ruleset()
	if err != nil {
		return nil, err
	}
	switch err := install(program(append(r.calls(), allowed()...))); {
	case errors.Is(err, unix.ENOSYS): // qemu's user mode, or a kernel that was built without
		gaps = append(gaps, "no filter of system calls (seccomp)") // install has set no_new_privs
	case err != nil:
		return nil, err
	}
	if ruleset == none {
		return gaps, nil
	}
	if err := errors.Join(ll.AllThreadsLandlockRestrictSelf(ruleset, 0), unix.Close(ruleset)); err != nil {
		return nil, fmt.Errorf("closing the file system (Landlock): %w", err)
	}
	return gaps, nil
}

// mayShare is all that processes do which share files and sockets by their names.
const mayShare = ll.AccessFSReadFile | ll.AccessFSReadDir | ll.AccessFSWriteFile |
	ll.AccessFSRemoveFile | ll.AccessFSMakeReg | ll.AccessFSMakeSock

func (r Reach) ruleset() (ruleset int, gaps []string, err error) {
	if ruleset, err = noFiles(); err != nil {
		return none, nil, err
	}
	if ruleset == none {
		return none, []string{"no Landlock: files and ports are open to it as to its user"}, nil
	}
	for _, dir := range r.Dirs {
		if err := grantPath(ruleset, dir, mayShare); err != nil {
			return none, nil, fmt.Errorf("closing the file system but for %q (Landlock): %w", dir, err)
		}
	}
	abi, err := ll.LandlockGetABIVersion()
	if err != nil {
		return none, nil, fmt.Errorf("closing ports (Landlock): %w", err)
	}
	if handled(abi).HandledAccessNet == 0 {
		return ruleset, []string{"Landlock without TCP (before Linux 6.7): any port is open to it"}, nil
	}
	if r.Port > 0 {
		port := ll.NetPortAttr{AllowedAccess: ll.AccessNetConnectTCP, Port: uint64(r.Port)}
		if err := ll.LandlockAddNetPortRule(ruleset, &port, 0); err != nil {
			return none, nil, fmt.Errorf("closing ports but %d (Landlock): %w", r.Port, err)
		}
	}
	return ruleset, nil, nil
}

// calls are those that a server needs beside a guard's, and before them, as the first
// rule for a call is the one. Not among them, as with a guard: ftruncate, without which
// the audit file's lines stay.
func (r Reach) calls() []rule {
	families := []uint32{unix.AF_UNIX}
	if r.Port > 0 {
		families = append(families, unix.AF_INET, unix.AF_INET6)
	}
	rules := []rule{
		{unix.SYS_SOCKET, []argument{
			{0, all, families},
			{1, 0xf, []uint32{unix.SOCK_STREAM}}, // beside flags
			// Landlock knows of no multipath TCP.
			{2, all, []uint32{0, unix.IPPROTO_TCP}},
		}},
		// A connection by sending the first bytes at once is none to Landlock.
		masked(unix.SYS_SENDTO, 3, unix.MSG_FASTOPEN, 0),
		masked(unix.SYS_SENDMSG, 2, unix.MSG_FASTOPEN, 0),
		// O_TRUNC would empty the audit file where there is no Landlock.
		masked(unix.SYS_OPENAT, 2, unix.O_TRUNC, 0),
	}
	for _, number := range append(statCalls(),
		unix.SYS_CONNECT, unix.SYS_BIND, unix.SYS_LISTEN, unix.SYS_ACCEPT4,
		unix.SYS_MKDIRAT, unix.SYS_UNLINKAT, unix.SYS_GETDENTS64) {
		rules = append(rules, rule{number: number})
	}
	return rules
}
