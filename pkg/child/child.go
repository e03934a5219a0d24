// Package child runs programs from a process that has confined itself.
//
// Landlock confines threads, and each thread of a Go program gets a domain of its own,
// which no signal leaves but to domains below it (landlock(7),
// LANDLOCK_SCOPE_SIGNAL). So only the thread that started a program may kill it, and
// those that it started itself: a deadline of [exec.CommandContext] fails with EPERM
// on any other. Package child starts and kills on one thread, which lives as long
// as the program; so is Pdeathsig, which is about that thread, the right one.
package child

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// Child is a program that was started.
type Child struct {
	cmd    *exec.Cmd
	signal syscall.Signal
	kill   chan chan<- error
	ended  chan struct{}
}

// Start starts cmd, made by [exec.CommandContext]. When its context ends it gets a
// signal, and after cmd.WaitDelay is killed; cmd.Cancel is set here. Wait must be
// called, and not cmd.Wait.
func Start(cmd *exec.Cmd, signal syscall.Signal) (*Child, error) {
	c := &Child{cmd, signal, make(chan chan<- error), make(chan struct{})}
	cmd.Cancel = c.cancel
	started := make(chan error)
	go c.keep(started)
	if err := <-started; err != nil {
		return nil, err
	}
	return c, nil
}

// keep has a thread of its own, which ends with it: it is never unlocked.
func (c *Child) keep(started chan<- error) {
	runtime.LockOSThread()
	err := c.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	var late <-chan time.Time
	for {
		select {
		case reply := <-c.kill:
			reply <- c.cmd.Process.Signal(c.signal)
			late = time.After(c.cmd.WaitDelay)
		case <-late:
			_ = c.cmd.Process.Kill() // it may have ended
		case <-c.ended:
			return
		}
	}
}

func (c *Child) cancel() error {
	reply := make(chan error, 1)
	select {
	case c.kill <- reply:
		return <-reply
	case <-c.ended:
		return os.ErrProcessDone
	}
}

// Wait waits for the program's end, as [exec.Cmd.Wait].
func (c *Child) Wait() error {
	defer close(c.ended)
	return c.cmd.Wait()
}

// Run is Start and Wait.
func Run(cmd *exec.Cmd, signal syscall.Signal) error {
	c, err := Start(cmd, signal)
	if err != nil {
		return err
	}
	return c.Wait()
}
