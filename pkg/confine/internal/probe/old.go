package main

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/splitvault/splitvault/pkg/confine"
)

// serverOn confines the process as a server, on this kernel or on one that knows less,
// and returns what that lacks.
func serverOn(kernel string, reach confine.Reach) (gaps []string, err error) {
	var missing []uint32
	switch kernel {
	case "server without Landlock":
		missing = []uint32{unix.SYS_LANDLOCK_CREATE_RULESET}
	case "server without seccomp":
		missing = []uint32{unix.SYS_SECCOMP}
	}
	if len(missing) > 0 {
		if err := forget(missing); err != nil {
			return nil, err
		}
	}
	return confine.Server(reach)
}

// forget has the kernel say that it has no such calls.
func forget(calls []uint32) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	filter := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}}
	for _, call := range calls {
		filter = append(filter,
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: call, Jf: 1},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)})
	}
	filter = append(filter, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW})
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
	runtime.KeepAlive(filter)
	if errno != 0 {
		return errno
	}
	return nil
}
