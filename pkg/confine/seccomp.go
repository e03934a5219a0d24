package confine

import (
	"fmt"
	"os"
	"runtime"
	"unsafe"

	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// Offsets in struct seccomp_data (seccomp(2)); the arguments are 64 bits wide,
// their lower half comes first on the architectures here.
const (
	offsetNumber = 0
	offsetArch   = 4
	offsetArgs   = 16
)

// all is the mask of a whole argument.
const all = ^uint32(0)

// rule lets one system call through, if all these arguments are as wanted.
type rule struct {
	number uintptr
	wanted []argument
}

// argument is one that has, after masking, one of the values.
type argument struct {
	number, mask uint32
	values       []uint32
}

func masked(number uintptr, arg, mask uint32, values ...uint32) rule {
	return rule{number, []argument{{arg, mask, values}}}
}

// allowed is what Go's runtime needs to go on, and reading, writing and
// waiting on what is open. What is not here fails with EPERM.
//
// Sending to a named datagram socket is part of it (the journal is reached so).
func allowed() []rule {
	calls := []uintptr{
		unix.SYS_READ, unix.SYS_WRITE, unix.SYS_READV, unix.SYS_WRITEV, unix.SYS_CLOSE, unix.SYS_FSTAT,
		unix.SYS_SENDTO, unix.SYS_SENDMSG, unix.SYS_RECVFROM, unix.SYS_RECVMSG, unix.SYS_SHUTDOWN,
		unix.SYS_GETSOCKOPT, unix.SYS_SETSOCKOPT, unix.SYS_GETSOCKNAME, unix.SYS_GETPEERNAME,
		unix.SYS_PPOLL, unix.SYS_EPOLL_CREATE1, unix.SYS_EPOLL_CTL, unix.SYS_EPOLL_PWAIT, unix.SYS_EVENTFD2,
		unix.SYS_PIPE2, unix.SYS_FLOCK,
		unix.SYS_PREAD64,  // the audit file; and Go reads its control group's limit of CPUs now and then
		unix.SYS_PWRITE64, // counters of the audit's limit
		unix.SYS_MUNMAP, unix.SYS_MADVISE, unix.SYS_MINCORE, unix.SYS_BRK, unix.SYS_MREMAP,
		unix.SYS_RT_SIGACTION, unix.SYS_RT_SIGPROCMASK, unix.SYS_RT_SIGRETURN, unix.SYS_SIGALTSTACK,
		unix.SYS_FUTEX, unix.SYS_SCHED_YIELD, unix.SYS_SCHED_GETAFFINITY, unix.SYS_SET_ROBUST_LIST, unix.SYS_RSEQ,
		unix.SYS_NANOSLEEP, unix.SYS_CLOCK_GETTIME, unix.SYS_CLOCK_NANOSLEEP, unix.SYS_GETTIMEOFDAY, unix.SYS_RESTART_SYSCALL,
		unix.SYS_GETPID, unix.SYS_GETTID, unix.SYS_GETUID, unix.SYS_GETRANDOM, unix.SYS_MEMBARRIER,
		unix.SYS_EXIT, unix.SYS_EXIT_GROUP,
		unix.SYS_LANDLOCK_RESTRICT_SELF, // Guard's next step; more of it only takes more away
	}
	rules := make([]rule, 0, len(calls)+8)
	for _, number := range append(calls, architectureCalls()...) {
		rules = append(rules, rule{number: number})
	}
	for _, number := range fcntlCalls() {
		// Not F_SETOWN and F_SETSIG: with these a descriptor's events become
		// any signal to any process of the user. Not F_SETFL: without O_APPEND
		// the audit file's lines could be written over.
		rules = append(rules, masked(number, 1, all, unix.F_DUPFD_CLOEXEC, unix.F_GETFD, unix.F_SETFD, unix.F_GETFL))
	}
	return append(rules,
		masked(unix.SYS_TGKILL, 0, all, uint32(os.Getpid())),            // Go preempts its own threads
		masked(unix.SYS_CLONE, 0, unix.CLONE_THREAD, unix.CLONE_THREAD), // threads, no processes
		masked(unix.SYS_MPROTECT, 2, unix.PROT_EXEC, 0),
		masked(mmapCall, 2, unix.PROT_EXEC, 0),
	)
}

// program compiles the rules to the classic BPF that seccomp(2) takes.
func program(rules []rule) []unix.SockFilter {
	const (
		load = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		jeq  = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		and  = unix.BPF_ALU | unix.BPF_AND | unix.BPF_K
		ret  = unix.BPF_RET | unix.BPF_K
	)
	deny := unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)}
	allow := unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ALLOW}
	p := []unix.SockFilter{
		{Code: load, K: offsetArch},
		{Code: jeq, K: auditArch, Jt: 1},
		{Code: ret, K: unix.SECCOMP_RET_KILL_PROCESS}, // numbers mean other calls there
		{Code: load, K: offsetNumber},
		// Its arguments are in memory, out of a filter's sight. "No such call"
		// makes the C library, where one is linked in, use clone.
		{Code: jeq, K: unix.SYS_CLONE3, Jf: 1},
		{Code: ret, K: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)},
	}
	for _, r := range rules {
		var body []unix.SockFilter
		for _, a := range r.wanted {
			body = append(body,
				unix.SockFilter{Code: load, K: offsetArgs + 8*a.number},
				unix.SockFilter{Code: and, K: a.mask})
			for i, value := range a.values {
				body = append(body, unix.SockFilter{Code: jeq, K: value, Jt: uint8(len(a.values) - i)})
			}
			body = append(body, deny)
		}
		body = append(body, allow)
		p = append(p, unix.SockFilter{Code: jeq, K: uint32(r.number), Jf: uint8(len(body))})
		p = append(p, body...)
	}
	return append(p, deny)
}

// noNewResources installs the filter for all threads.
func noNewResources() error { return install(program(allowed())) }

func install(filter []unix.SockFilter) error {
	// In all threads: the goroutine may be on another when it filters. To lock it to
	// one would have Go start a thread more, which is stopped with the others
	// afterwards and kept to the end: of a guard's memory 30 KiB, and no time saved.
	if err := ll.AllThreadsPrctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("setting no_new_privs: %w", err)
	}
	fprog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	thread, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC,
		uintptr(unsafe.Pointer(&fprog)))
	runtime.KeepAlive(filter)
	if errno != 0 {
		return fmt.Errorf("filtering system calls (seccomp): %w", errno)
	}
	// Not an error number, but the thread that has a filter of its own
	// (seccomp(2), SECCOMP_FILTER_FLAG_TSYNC): nothing is filtered then.
	if thread != 0 {
		return fmt.Errorf("filtering system calls (seccomp): thread %d cannot take the filter", thread)
	}
	return nil
}
