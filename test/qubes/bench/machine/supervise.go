package machine

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// bootTime is when a boot is given up. It takes a tenth of a second to a third
// on an idle machine.
const bootTime = 60 * time.Second

// Supervise boots a qube and stays with it until life ends (nil: for ever), a
// SIGTERM, SIGINT or SIGHUP arrives, or the qube ends by itself. It writes the
// line "ready" when the qube's systemd has nothing left to start. The caller
// is the program whose InitVerb command calls Init, on its main thread with
// runtime.LockOSThread: the parent-death signal follows the thread.
func Supervise(s State, c Config, life io.Reader, ready io.Writer) (err error) {
	if err := errors.Join(Possible(), c.check()); err != nil {
		return err
	}
	if err := s.makeDirs(c.Name); err != nil {
		return err
	}
	lock, err := s.lock(c.Name)
	if err != nil {
		return err
	}
	defer lock.Close()
	// What kills the process group of our owner leaves us to clean up.
	if _, err := syscall.Setsid(); err != nil && !errors.Is(err, syscall.EPERM) { // EPERM: is a leader already
		return fmt.Errorf("setsid: %w", err)
	}
	signal.Ignore(syscall.SIGPIPE)
	if err := sweepCgroups(); err != nil {
		return err
	}
	cgroup, err := makeCgroup(c.Name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, removeCgroup(cgroup)) }()
	booted, stop, err := s.listen(c.Name)
	if err != nil {
		return err
	}
	defer stop()
	init, err := s.startInit(c, cgroup)
	if err != nil {
		return err
	}
	defer os.Remove(s.path(c.Name, "pid"))
	return s.watch(c.Name, init, booted, life, ready)
}

// listen opens the socket on which the qube's PID 1 says READY=1 (sd_notify(3))
// once its job queue is empty, so that nobody has to poll.
func (s State) listen(name string) (booted <-chan struct{}, stop func(), err error) {
	path := s.path(name, "notify", "s")
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, nil, err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, nil, err
	}
	defer dir.Close()
	// The real path may be longer than the 107 bytes a socket address holds.
	short := fmt.Sprintf("/proc/self/fd/%d/s", dir.Fd())
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: short, Net: "unixgram"})
	if err != nil {
		return nil, nil, fmt.Errorf("listening for the boot of %q: %w", name, err)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	done := make(chan struct{})
	var once sync.Once
	go func() {
		message := make([]byte, 4096)
		for {
			n, err := conn.Read(message) // no deadline: stop closes it
			if err != nil {
				return
			}
			if bytes.Contains(message[:n], []byte("READY=1")) {
				once.Do(func() { close(done) })
			}
			// Read on: later systemds report on shutdown, too, and wait for
			// ever if nobody takes it.
		}
	}()
	return done, func() { _ = conn.Close() }, nil // nothing is lost
}

// startInit starts PID 1 of the new qube, directly in its cgroup: a systemd
// that found itself elsewhere would take over the host's tree.
func (s State) startInit(c Config, cgroup string) (*exec.Cmd, error) {
	dir, err := os.Open(cgroup)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	console, err := os.OpenFile(s.path(c.Name, "console"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer console.Close()
	config, err := c.encode()
	if err != nil {
		return nil, err
	}
	init := exec.Command("/proc/self/exe", InitVerb, string(s), config)
	init.Stdout, init.Stderr = console, console
	init.SysProcAttr = &syscall.SysProcAttr{
		Setsid:      true,
		Pdeathsig:   syscall.SIGKILL, // our death is the qube's
		Cloneflags:  syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC | syscall.CLONE_NEWNET,
		UseCgroupFD: true,
		CgroupFD:    int(dir.Fd()),
	}
	if err := init.Start(); err != nil {
		return nil, fmt.Errorf("starting the init of %q: %w", c.Name, err)
	}
	i := instance{process{init.Process.Pid, startTime(init.Process.Pid)}, cgroup}
	if err := s.record(c.Name, i); err != nil {
		return nil, errors.Join(err, init.Process.Kill(), init.Wait())
	}
	return init, nil
}

// watch is the supervisor's life after the start of init. The qube is dead
// when it returns.
func (s State) watch(name string, init *exec.Cmd, booted <-chan struct{}, life io.Reader, ready io.Writer) error {
	ended, quit := make(chan error, 1), make(chan os.Signal, 1)
	go func() { ended <- init.Wait() }()
	signal.Notify(quit, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	if life != nil {
		go func() {
			_, _ = io.Copy(io.Discard, life) // an error ends a life as EOF does
			quit <- syscall.SIGHUP
		}()
	}
	timeout := time.NewTimer(bootTime)
	defer timeout.Stop()
	select {
	case <-booted:
	case err := <-ended:
		console, _ := os.ReadFile(s.path(name, "console"))
		return fmt.Errorf("%q died at boot: %w: %s", name, cmp.Or(err, errors.New("exit status 0")), bytes.TrimSpace(console))
	case <-timeout.C:
		err := fmt.Errorf("%q did not boot in %v:\n%s", name, bootTime, s.lastWords(name))
		return errors.Join(err, init.Process.Kill(), ignoreExit(<-ended))
	case <-quit:
		return errors.Join(init.Process.Kill(), ignoreExit(<-ended))
	}
	if _, err := io.WriteString(ready, "ready\n"); err != nil {
		return errors.Join(fmt.Errorf("reporting that %q is up: %w", name, err), init.Process.Kill(), ignoreExit(<-ended))
	}
	select {
	case <-ended: // shut down, rebooted or killed: all the same to us
		return nil
	case <-quit:
		return errors.Join(ignoreFinished(init.Process.Kill()), ignoreExit(<-ended))
	}
}

// lastWords is what the qube's system says of a boot that does not end.
func (s State) lastWords(name string) string {
	var said strings.Builder
	for _, args := range [][]string{{"journalctl", "--no-pager", "-n", "60", "-o", "short-monotonic"}, {"systemctl", "--no-pager", "list-jobs"}} {
		cmd := exec.Command("/proc/self/exe", append([]string{"-state", string(s), "root", name, "timeout", "9"}, args...)...)
		out, err := cmd.CombinedOutput()
		said.Write(out)
		if err != nil {
			fmt.Fprintf(&said, "(%s: %v)\n", args[0], err)
		}
	}
	return said.String()
}

// ignoreExit drops how a killed process ended, not a failure to wait for it.
func ignoreExit(err error) error {
	if _, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil
	}
	return err
}

// ignoreFinished drops that a process to kill was dead already.
func ignoreFinished(err error) error {
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}
