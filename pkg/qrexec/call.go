package qrexec

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// DefaultClient is the program that places calls in a qube.
const DefaultClient = "/usr/bin/qrexec-client-vm"

const (
	maxStderr  = 512         // bytes of a call's standard error that are kept
	killGrace  = time.Second // from SIGTERM to SIGKILL
	drainGrace = time.Second // for standard error to end after the client did
)

// ErrNoClient says that the program that places calls could not be started.
var ErrNoClient = errors.New("the qrexec client does not start (is this a qube? SPLITVAULT_QREXEC_CLIENT names another)")

// Call is one running qrexec-client-vm.
//
// It gets two pipes, not a socket: with a socket as both standard input and
// output an end of the service's output never shows (process_io.c), and
// --use-stdin-socket, which mends that, needs qrexec 4.2.19. Pipes work with
// every release. Standard error is always drained: the client writes the remote
// side's messages to it blockingly, and would stall the call.
type Call struct {
	In  *os.File // to the service; Close passes the end of input on
	Out *os.File // from the service

	cmd     *exec.Cmd
	stderr  *head
	done    chan struct{}
	outcome Outcome
	endOnce sync.Once
	stopped atomic.Bool // End sent a signal
}

// Start places a call. The client program reads nothing from In before dom0
// has allowed the call. The caller must see it to the end with End, and close
// Out. Should this process be killed before, the kernel kills the client program.
func Start(client string, target Target, service Service) (*Call, error) {
	inR, inW, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("calling %s: %w", service, err)
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("calling %s: %w", service, err), inR.Close(), inW.Close())
	}
	c := &Call{In: inW, Out: outR, stderr: &head{}, done: make(chan struct{})}
	c.cmd = exec.Command(client, "--", string(target), string(service))
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = inR, outW, c.stderr
	// A child that the client left behind with its standard error open must
	// not keep us.
	c.cmd.WaitDelay = drainGrace
	// The kernel means the death of the thread that starts the program; Go ends
	// none, but for those that a goroutine was locked to.
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	err = c.cmd.Start()
	inR.Close()
	outW.Close()
	if err != nil {
		inW.Close()
		outR.Close()
		return nil, fmt.Errorf("calling %s: %w: %w", service, ErrNoClient, err)
	}
	go c.wait()
	return c, nil
}

// Done is closed when the client program has ended and has been reaped.
func (c *Call) Done() <-chan struct{} { return c.done }

// Outcome says how the call ended; it may be asked once Done is closed.
func (c *Call) Outcome() Outcome { return c.outcome }

// End ends the call in good order: it closes In, so that the service sees the
// end of input, gives it grace to end, then sends SIGTERM and after a second
// SIGKILL to the client program. It returns when the program is reaped.
func (c *Call) End(grace time.Duration) {
	c.endOnce.Do(func() { c.In.Close() })
	if grace > 0 && c.waitFor(grace) {
		return
	}
	select {
	case <-c.done:
		return
	default:
	}
	c.stopped.Store(true)
	// Errors mean that it has ended.
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	if !c.waitFor(killGrace) {
		_ = c.cmd.Process.Kill()
	}
	<-c.done
}

func (c *Call) waitFor(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-c.done:
		return true
	case <-timer.C:
		return false
	}
}

func (c *Call) wait() {
	err := c.cmd.Wait()
	c.outcome = Outcome{Code: -1, Message: c.stderr.String(), Stopped: c.stopped.Load()}
	if state := c.cmd.ProcessState; state != nil {
		if ws, ok := state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			c.outcome.Signal = ws.Signal()
		} else {
			c.outcome.Code = state.ExitCode()
		}
	} else {
		c.outcome.Err = err
	}
	close(c.done)
}

// head keeps the first bytes of what is written, and takes all.
type head struct {
	mu   sync.Mutex
	kept []byte
}

var _ io.Writer = (*head)(nil)

func (h *head) Write(untrusted []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.kept = append(h.kept, untrusted[:min(len(untrusted), maxStderr-len(h.kept))]...)
	return len(untrusted), nil
}

func (h *head) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return string(h.kept)
}
