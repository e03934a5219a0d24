package main

import (
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

func startProgram() error {
	p, err := os.StartProcess("/bin/true", []string{"true"}, &os.ProcAttr{})
	if err != nil {
		return err
	}
	_, err = p.Wait()
	return err
}

func fork() error { return reap(syscall.RawSyscall(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0)) }

func forkClone3() error {
	args := [8]uint64{4: uint64(unix.SIGCHLD)} // exit_signal
	return reap(syscall.RawSyscall(unix.SYS_CLONE3, uintptr(unsafe.Pointer(&args)), unsafe.Sizeof(args), 0))
}

// reap ends the child at once, for it has no runtime. That there was one counts,
// also if it cannot be waited for.
func reap(pid, _ uintptr, errno syscall.Errno) error {
	if errno != 0 {
		return errno
	}
	if pid == 0 {
		for {
			syscall.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
		}
	}
	_, _ = unix.Wait4(int(pid), nil, 0, nil)
	return nil
}

func socket(family, kind int) error {
	fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

func socketPair() error {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err := unix.Close(fds[0]); err != nil {
		return err
	}
	return unix.Close(fds[1])
}

func mapMemory(protection int) error {
	b, err := unix.Mmap(-1, 0, os.Getpagesize(), protection, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return err
	}
	return unix.Munmap(b)
}

func protect() error {
	b, err := unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return err
	}
	return unix.Mprotect(b, unix.PROT_READ|unix.PROT_EXEC)
}

// ownDescriptor is the way to kill by fcntl: the owner of a descriptor is sent
// the signal of one's choice when data arrive.
func ownDescriptor(pid int) error {
	return err2(unix.FcntlInt(uintptr(unix.Stdin), unix.F_SETOWN, pid))
}

// stopAppending takes O_APPEND from a descriptor, so that it writes anywhere.
func stopAppending() error {
	flags, err := unix.FcntlInt(uintptr(unix.Stderr), unix.F_GETFL, 0)
	if err != nil {
		return err
	}
	return err2(unix.FcntlInt(uintptr(unix.Stderr), unix.F_SETFL, flags&^unix.O_APPEND))
}

func readMemory(pid int) error {
	b := make([]byte, 1)
	local := []unix.Iovec{{Base: &b[0], Len: 1}}
	// The address is wrong for sure: whoever may read is told EFAULT.
	_, err := unix.ProcessVMReadv(pid, local, []unix.RemoteIovec{{Base: 1, Len: 1}}, 0)
	if err == unix.EFAULT {
		return nil
	}
	return err
}

func openMany(n int) error {
	fds := make([]int, 0, n)
	defer func() {
		for _, fd := range fds {
			unix.Close(fd)
		}
	}()
	for range n {
		fd, err := unix.FcntlInt(uintptr(unix.Stdin), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return err
		}
		fds = append(fds, fd)
	}
	return nil
}

// otherThread is a thread that was there before the confinement, which must hold
// for it too. The returned function runs another there.
func otherThread() func(try func() error) error {
	tries, results := make(chan func() error), make(chan error)
	go func() {
		runtime.LockOSThread()
		for try := range tries {
			results <- try()
		}
	}()
	return func(try func() error) error {
		tries <- try
		return <-results
	}
}
