package client

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/splitvault/splitvault/test/qubes/qrexec/internal/pump"
)

// startLocal starts LOCAL_PROGRAM with its stdin and stdout on two socket pairs:
// no search in PATH, argv[0] its base name, the original descriptors in
// SAVED_FD_*, SIGPIPE ignored. A program that cannot be executed counts as one
// that ended with 255. The real client also leaks its vchan into the program;
// that is left out, for here it would keep the channel open.
func startLocal(argv []string) (child *pump.Child, in, out int, err error) {
	child, err = pump.NewChild()
	if err != nil {
		return nil, 0, 0, err
	}
	inPair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, 0, 0, fmt.Errorf("socketpair: %w", err)
	}
	outPair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, 0, 0, fmt.Errorf("socketpair: %w", err)
	}
	in, out = inPair[1], outPair[0]
	defer func() { _, _ = unix.Close(inPair[0]), unix.Close(outPair[1]) }()

	files := []uintptr{uintptr(inPair[0]), uintptr(outPair[1]), 2, 0, 1}
	env := append(os.Environ(), "QREXEC_AGENT_PID="+strconv.Itoa(os.Getpid()), "SAVED_FD_0=3", "SAVED_FD_1=4")
	if os.Getenv("PASS_LOCAL_STDERR") != "" {
		files = append(files, 2)
		env = append(env, "SAVED_FD_2=5")
	}
	args := append([]string{filepath.Base(argv[0])}, argv[1:]...)
	pid, err := syscall.ForkExec(argv[0], args, &syscall.ProcAttr{Env: env, Files: files})
	if err != nil {
		errno, _ := errors.AsType[syscall.Errno](err)
		say(fmt.Sprintf("execv: %v", errno))
		child.Ended(exitBroken)
		return child, in, out, nil
	}
	process, err := os.FindProcess(pid)
	if err != nil {
		return nil, 0, 0, err
	}
	child.Started(process)
	return child, in, out, nil
}
