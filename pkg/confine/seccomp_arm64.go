package confine

import "golang.org/x/sys/unix"

const (
	auditArch = unix.AUDIT_ARCH_AARCH64
	mmapCall  = unix.SYS_MMAP
)

func architectureCalls() []uintptr { return nil }

func fcntlCalls() []uintptr { return []uintptr{unix.SYS_FCNTL} }

func statCalls() []uintptr { return []uintptr{unix.SYS_FSTATAT} }
