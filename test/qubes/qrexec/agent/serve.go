package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"

	"github.com/splitvault/splitvault/test/qubes/qrexec/internal/pump"
	"github.com/splitvault/splitvault/test/qubes/qrexec/internal/wire"
)

// Exit codes that qrexec itself gives, libqrexec/qrexec.h.
const (
	exitBroken   = 125 // QREXEC_EXIT_PROBLEM
	exitNotFound = 127 // QREXEC_EXIT_SERVICE_NOT_FOUND
)

// Descriptors of a data process.
const (
	linkFD     = 3
	lifelineFD = 4
)

// order is what a data process is told, as its only argument.
type order struct {
	Service wire.Service `json:"service"`
	Host    Host         `json:"host"`
}

// startService starts a data process for one call.
func (a *Agent) startService(s wire.Service, files []*os.File) {
	defer wire.CloseAll(files...)
	text, err := json.Marshal(order{Service: s, Host: a.options.Host})
	if err != nil || len(files) != 2 {
		a.options.Log("starting service %q: %d descriptors, %v", s.Descriptor(), len(files), err)
		return
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = []string{"qrexec", "serve", string(text)}
	cmd.ExtraFiles = files // 3 and 4
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Start(); err != nil {
		a.options.Log("starting service %q: %v", s.Descriptor(), err)
		return
	}
	go func() { _ = cmd.Wait() }() // its exit code goes to dom0 by the lifeline
}

// serviceError is a call that is over before a service runs.
type serviceError struct {
	code int
	err  error
}

func (e *serviceError) Error() string { return e.err.Error() }

func problem(code int, format string, v ...any) error {
	return &serviceError{code: code, err: fmt.Errorf(format, v...)}
}

// Serve is the data process: text is its order. It returns its exit code.
func Serve(text string) int {
	say := func(line string) { fmt.Fprintf(os.Stderr, "qrexec-agent: %s\n", line) }
	var o order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		say("decoding order: " + err.Error())
		return 2
	}
	// Nothing that this process inherited may reach the service.
	if err := unix.CloseRange(3, ^uint(0), unix.CLOSE_RANGE_CLOEXEC); err != nil {
		say("marking descriptors close-on-exec: " + err.Error())
		return exitBroken
	}
	// The caller's own HELLO says that it still lives: no service is started for
	// one that left while a prompt stood.
	if err := wire.Greet(linkFD); err != nil {
		say("Data vchan connection failed: " + err.Error())
		return 1
	}
	code := 0
	config, err := prepare(o)
	if err != nil {
		say(fmt.Sprintf("%s from %s: %v", o.Service.Descriptor(), o.Service.Source, err))
		code = refuse(err)
	} else {
		config.Link, config.Lifeline, config.Service, config.Log = linkFD, lifelineFD, true, say
		code, _ = pump.Run(config)
	}
	_ = unix.Sendto(lifelineFD, wire.AppendExit(nil, code), unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT, nil)
	return code
}

// refuse ends a call without a service: both ends of file, then the code.
func refuse(err error) int {
	code := exitBroken
	if e, ok := errors.AsType[*serviceError](err); ok {
		code = e.code
	}
	frames := wire.AppendHeader(nil, wire.DataStdout, 0)
	frames = wire.AppendHeader(frames, wire.DataStderr, 0)
	_ = unix.Sendto(linkFD, wire.AppendExit(frames, code), unix.MSG_NOSIGNAL, nil)
	return code
}

// prepare finds the service and starts it or connects to it.
func prepare(o order) (pump.Config, error) {
	config, err := loadConfig(o)
	if err != nil {
		return pump.Config{}, err
	}
	s := newSession(o, config)
	if config.waitForSession {
		s.wait()
	}
	account, err := lookupAccount(s.user)
	if err != nil {
		return pump.Config{}, problem(exitBroken, "%w", err)
	}
	s.own = os.Geteuid() == account.uid
	if s.forkServer {
		if err := account.become(); err != nil {
			return pump.Config{}, problem(exitBroken, "%w", err)
		}
	}
	found, err := find(o)
	if err != nil {
		return pump.Config{}, err
	}
	switch found.kind {
	case kindSocket, kindTCP:
		return connect(o, config, found)
	default:
		return execute(o, s, account, found.path)
	}
}
