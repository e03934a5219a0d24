package agent

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/splitvault/splitvault/test/qubes/qrexec/internal/pump"
	"github.com/splitvault/splitvault/test/qubes/qrexec/internal/wire"
)

// execute starts an executable service: two socket pairs and a pipe, a session of
// its own, HOME as directory, nothing else open (exec.c do_fork_exec and
// exec_qubes_rpc2).
func execute(o order, s session, a account, path string) (pump.Config, error) {
	child, err := pump.NewChild()
	if err != nil {
		return pump.Config{}, problem(exitBroken, "%w", err)
	}
	stdio, err := newStdio()
	if err != nil {
		return pump.Config{}, problem(exitBroken, "%w", err)
	}
	defer wire.CloseAll(stdio.theirs[:]...)
	argv, direct := commandLine(o, s, path)
	env := s.environment(a)
	process, err := os.StartProcess(argv[0], argv, &os.ProcAttr{
		Dir:   workingDirectory(env, a),
		Env:   append(env, serviceVariables(o)...),
		Files: stdio.theirs[:],
		Sys:   &syscall.SysProcAttr{Setsid: true, Credential: a.credential()},
	})
	if err != nil {
		code := exitBroken
		if direct && errors.Is(err, unix.ENOENT) {
			code = exitNotFound // the interpreter is missing
		}
		return pump.Config{}, problem(code, "executing %q: %w", path, err)
	}
	child.Started(process)
	copier := newSyslog(o.Service.Descriptor() + "-" + o.Service.Source)
	return pump.Config{
		In: stdio.ours[0], Out: stdio.ours[1], Err: stdio.ours[2],
		Child: child, Stderr: copier.write,
	}, nil
}

// commandLine is the service itself in a GUI session of R4.3; without one, and
// before R4.3, a login shell comes first, and what its profile prints is the
// start of the service's output.
func commandLine(o order, s session, path string) (argv []string, direct bool) {
	argv = []string{path}
	if o.Service.Argument != "" {
		argv = append(argv, o.Service.Argument)
	}
	if s.forkServer && o.Host.Release >= "4.3" {
		return argv, true
	}
	return append([]string{"/bin/sh", "-lc", `exec "$@"`, "sh"}, argv...), false
}

func serviceVariables(o order) []string {
	return []string{
		"QREXEC_REMOTE_DOMAIN=" + o.Service.Source,
		"QREXEC_SERVICE_FULL_NAME=" + o.Service.Descriptor(),
		"QREXEC_SERVICE_ARGUMENT=" + o.Service.Argument,
		"QREXEC_REQUESTED_TARGET_TYPE=",
		"QREXEC_AGENT_PID=" + strconv.Itoa(os.Getpid()),
	}
}

// workingDirectory is HOME as the service sees it.
func workingDirectory(env []string, a account) string {
	home := a.home
	for _, pair := range env {
		if len(pair) > 5 && pair[:5] == "HOME=" {
			home = pair[5:]
		}
	}
	if info, err := os.Stat(home); err != nil || !info.IsDir() {
		return "/"
	}
	return home
}

// stdio is the three streams of a service.
type stdio struct {
	ours   [3]int // stdin, stdout, stderr
	theirs [3]*os.File
}

func newStdio() (*stdio, error) {
	s := &stdio{}
	for i := range 2 {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return nil, fmt.Errorf("making a socket pair: %w", err)
		}
		s.ours[i], s.theirs[i] = fds[0], os.NewFile(uintptr(fds[1]), "stdio")
	}
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return nil, fmt.Errorf("making a pipe: %w", err)
	}
	s.ours[2], s.theirs[2] = fds[0], os.NewFile(uintptr(fds[1]), "stderr")
	return s, nil
}
