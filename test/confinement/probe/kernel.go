package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// setUserID runs a copy of id(1) that belongs to root and has the bit.
func setUserID() error {
	out, err := exec.Command("/usr/local/bin/id-as-root", "-u").Output()
	if err == nil && strings.TrimSpace(string(out)) != "0" {
		return fmt.Errorf("it runs as %s", out)
	}
	return err
}

func coreFile() error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &limit); err != nil {
		return err
	}
	if limit.Max == 0 {
		return errRefused
	}
	return nil
}

func inetSocket() error    { return socket(unix.AF_INET, unix.SOCK_STREAM) }
func netlinkSocket() error { return socket(unix.AF_NETLINK, unix.SOCK_RAW) }

func socket(family, kind int) error {
	fd, err := unix.Socket(family, kind, 0)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// userNamespace is made by a process of one thread only: the child is not Go's.
func userNamespace() error {
	out, err := exec.Command("unshare", "--user", "true").CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// realtime asks with a priority that there is none of: who may ask is told EINVAL.
func realtime() error {
	priority := int32(1000)
	_, _, errno := unix.RawSyscall(unix.SYS_SCHED_SETSCHEDULER, 0, unix.SCHED_FIFO, uintptr(unsafe.Pointer(&priority)))
	if errno == unix.EINVAL {
		return nil
	}
	return errno
}

func personality() error {
	const addrNoRandomize = 0x0040000
	_, _, errno := unix.RawSyscall(unix.SYS_PERSONALITY, addrNoRandomize, 0, 0)
	return orNil(errno)
}

func writeAndExecute() error {
	b, err := unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE|unix.PROT_EXEC, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return err
	}
	return unix.Munmap(b)
}

func otherArchitecture() error { return exec.Command("/usr/local/bin/probe32").Run() }

func traced() error {
	_, _, errno := unix.RawSyscall(unix.SYS_PTRACE, unix.PTRACE_TRACEME, 0, 0)
	return orNil(errno)
}

// priority sets the one that it has.
func priority() error { return unix.Setpriority(unix.PRIO_PROCESS, 0, 0) }

// goOn does not care for what is refused; a filter without an error number kills.
func goOn() error {
	_ = traced()
	return nil
}

// confineItself asks whether a filter could be installed.
func confineItself() error {
	const getActionAvail = 2
	action := uint32(unix.SECCOMP_RET_ALLOW)
	_, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, getActionAvail, 0, uintptr(unsafe.Pointer(&action)))
	return orNil(errno)
}

// clock asks how the clock is adjusted, which anybody may.
func clock() error {
	var all unix.Timex
	_, err := unix.Adjtimex(&all)
	return err
}

func send(to string) error {
	c, err := net.Dial("udp4", to)
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Write([]byte("x"))
	if errors.Is(err, unix.ECONNREFUSED) { // it was sent: nobody listens
		return nil
	}
	return err
}

func capabilities() error {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	if strings.Contains(string(text), "CapBnd:\t0000000000000000\n") {
		return errRefused
	}
	return nil
}

func orNil(errno unix.Errno) error {
	if errno != 0 {
		return errno
	}
	return nil
}
