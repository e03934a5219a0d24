package confine

import "golang.org/x/sys/unix"

const (
	auditArch = unix.AUDIT_ARCH_ARM
	mmapCall  = unix.SYS_MMAP2
)

// On 32 bits times have 64 bits in calls of their own.
func architectureCalls() []uintptr {
	return []uintptr{
		unix.SYS_POLL, unix.SYS_EPOLL_WAIT, unix.SYS_FSTAT64, unix.SYS_SIGRETURN,
		unix.SYS_FUTEX_TIME64, unix.SYS_CLOCK_GETTIME64, unix.SYS_CLOCK_NANOSLEEP_TIME64, unix.SYS_PPOLL_TIME64,
	}
}

func fcntlCalls() []uintptr { return []uintptr{unix.SYS_FCNTL, unix.SYS_FCNTL64} }

func statCalls() []uintptr { return []uintptr{unix.SYS_FSTATAT64} }
