package confine

import (
	"errors"
	"fmt"
	"os"

	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// Access is what a [Runner] and its children keep of the file system.
type Access struct {
	Run   []string // trees of programs and libraries: may be read and executed
	Read  []string // trees that may be read
	Write []string // trees that may be read and written
}

// Runner confines a guard that has to run other programs (gpg, git), and them with
// it: no_new_privs, no core file, bounded memory and files, no TCP, no file but
// those of the access, no signal to a process outside; no mounts, namespaces, tracing,
// keyrings, kernel modules, BPF or io_uring, and no sockets but Unix ones. It can
// not keep them from executing what they may read and run, nor from connecting to
// sockets of the same user by their path, as an agent's: Landlock does not know
// these. It must be called before any untrusted byte is read; an error means that
// the process is to end. landlocked is as with [Guard].
func Runner(a Access) (landlocked bool, err error) {
	if err := Limits(); err != nil {
		return false, err
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return false, fmt.Errorf("forbidding ptrace: %w", err)
	}
	ruleset, err := noFiles()
	if err != nil {
		return false, err
	}
	if ruleset != none {
		if err := a.grant(ruleset); err != nil {
			return false, err
		}
	}
	if err := install(forbidding()); err != nil {
		return false, err
	}
	if ruleset == none {
		return false, nil
	}
	if err := errors.Join(ll.AllThreadsLandlockRestrictSelf(ruleset, 0), unix.Close(ruleset)); err != nil {
		return false, fmt.Errorf("closing the file system (Landlock): %w", err)
	}
	return true, nil
}

const (
	mayRead  = ll.AccessFSReadFile | ll.AccessFSReadDir
	mayRun   = mayRead | ll.AccessFSExecute
	mayWrite = mayRead | ll.AccessFSWriteFile | ll.AccessFSRemoveFile | ll.AccessFSRemoveDir |
		ll.AccessFSMakeReg | ll.AccessFSMakeDir | ll.AccessFSMakeSock | ll.AccessFSRefer | ll.AccessFSTruncate
	ofFile = ll.AccessFSReadFile | ll.AccessFSWriteFile | ll.AccessFSExecute | ll.AccessFSTruncate
)

func (a Access) grant(ruleset int) error {
	abi, err := ll.LandlockGetABIVersion()
	if err != nil {
		return fmt.Errorf("closing the file system (Landlock): %w", err)
	}
	known := handled(abi).HandledAccessFS
	for _, part := range []struct {
		paths  []string
		rights uint64
	}{{a.Run, mayRun}, {a.Read, mayRead}, {a.Write, mayWrite}} {
		for _, path := range part.paths {
			if err := grantPath(ruleset, path, part.rights&known); err != nil {
				return fmt.Errorf("closing the file system but for %q (Landlock): %w", path, err)
			}
		}
	}
	return nil
}

// grantPath does nothing for what is not there.
func grantPath(ruleset int, path string, rights uint64) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return err
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFDIR {
		rights &= ofFile
	}
	return ll.LandlockAddPathBeneathRule(ruleset, &ll.PathBeneathAttr{AllowedAccess: rights, ParentFd: fd}, 0)
}

// forbidden are calls that no program of a guard has a use for, and that reach
// where Landlock does not.
func forbidden() []uintptr {
	return []uintptr{
		unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_KCMP, unix.SYS_PIDFD_GETFD,
		unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD, unix.SYS_IO_URING_SETUP,
		unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_KEYCTL,
		unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_FSOPEN, unix.SYS_OPEN_TREE, unix.SYS_MOVE_MOUNT,
		unix.SYS_UNSHARE, unix.SYS_SETNS, unix.SYS_OPEN_BY_HANDLE_AT,
		unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE, unix.SYS_KEXEC_LOAD, unix.SYS_REBOOT, unix.SYS_SWAPON, unix.SYS_SWAPOFF,
		unix.SYS_ACCT, unix.SYS_PERSONALITY,
	}
}

// forbidding compiles the filter for programs that are not our own: it lets through
// what it does not know.
func forbidding() []unix.SockFilter {
	const (
		load = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		jeq  = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		jge  = unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K
		ret  = unix.BPF_RET | unix.BPF_K
		// Numbers from here on are calls of amd64's second table (x32).
		second = 0x40000000
	)
	deny := unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)}
	allow := unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ALLOW}
	p := []unix.SockFilter{
		{Code: load, K: offsetArch},
		{Code: jeq, K: auditArch, Jt: 1},
		{Code: ret, K: unix.SECCOMP_RET_KILL_PROCESS},
		{Code: load, K: offsetNumber},
		{Code: jge, K: second, Jf: 1},
		deny,
	}
	for _, number := range forbidden() {
		p = append(p, unix.SockFilter{Code: jeq, K: uint32(number), Jf: 1}, deny)
	}
	return append(p,
		unix.SockFilter{Code: jeq, K: uint32(unix.SYS_SOCKET), Jf: 3},
		unix.SockFilter{Code: load, K: offsetArgs},
		unix.SockFilter{Code: jeq, K: unix.AF_UNIX, Jt: 1},
		deny,
		allow)
}
