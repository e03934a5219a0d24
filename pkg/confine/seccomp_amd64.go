package confine

import "golang.org/x/sys/unix"

const (
	auditArch = unix.AUDIT_ARCH_X86_64
	mmapCall  = unix.SYS_MMAP
)

func architectureCalls() []uintptr {
	return []uintptr{unix.SYS_POLL, unix.SYS_EPOLL_WAIT}
}

func fcntlCalls() []uintptr { return []uintptr{unix.SYS_FCNTL} }

func statCalls() []uintptr { return []uintptr{unix.SYS_NEWFSTATAT} }
