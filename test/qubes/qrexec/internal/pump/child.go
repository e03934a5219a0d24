package pump

import (
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// Child is the local process of a call: the service at the target, or the local
// program at the client. A nil Child is no process, which counts as ended. A
// SIGUSR1 to the process that pumps switches it to single-socket mode
// (process_io.c, sigusr1).
type Child struct {
	wakeR  int
	wakeW  int
	done   chan struct{}
	once   sync.Once
	code   atomic.Int64
	exited atomic.Bool // ended and not yet seen by takeExit
	asked  atomic.Bool // SIGUSR1 arrived and was not yet seen
}

// NewChild prepares for a process that is yet to be started: the signal handler
// must stand before the process that may send the signal.
func NewChild() (*Child, error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, err
	}
	c := &Child{wakeR: fds[0], wakeW: fds[1], done: make(chan struct{})}
	usr1 := make(chan os.Signal, 1)
	signal.Notify(usr1, syscall.SIGUSR1)
	go func() {
		<-usr1
		signal.Ignore(syscall.SIGUSR1)
		c.asked.Store(true)
		c.wake()
	}()
	return c, nil
}

// Started tells of the process. It is waited for from now on.
func (c *Child) Started(process *os.Process) {
	go func() {
		state, err := process.Wait()
		if err != nil {
			c.Ended(255)
			return
		}
		c.Ended(exitStatus(state))
	}()
}

// Ended tells that the process is over, or never came to be, with code.
func (c *Child) Ended(code int) {
	c.once.Do(func() {
		c.code.Store(int64(code))
		c.exited.Store(true)
		close(c.done)
		c.wake()
	})
}

func (c *Child) wake() { _, _ = unix.Write(c.wakeW, []byte{1}) }

// exitStatus is the code qrexec reports: 128+n for a process killed by signal n.
func exitStatus(state *os.ProcessState) int {
	status, ok := state.Sys().(syscall.WaitStatus)
	if ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return state.ExitCode()
}

// Wait waits for the process to end. There is no time-out: a service that
// ignores the end of its call lives on, as under qrexec.
func (c *Child) Wait() {
	if c != nil {
		<-c.done
	}
}

func (c *Child) ended() bool {
	if c == nil {
		return true
	}
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// status is the exit code, or none while there is none.
func (c *Child) status(none int) int {
	if c == nil || !c.ended() {
		return none
	}
	return int(c.code.Load())
}

func (c *Child) takeExit() bool   { return c != nil && c.exited.Swap(false) }
func (c *Child) takeSingle() bool { return c != nil && c.asked.Swap(false) }

func (c *Child) wakeFD() int {
	if c == nil {
		return -1
	}
	return c.wakeR
}

func (c *Child) drainWake(events int16) {
	if c == nil || events == 0 {
		return
	}
	var b [16]byte
	_, _ = unix.Read(c.wakeR, b[:])
}
