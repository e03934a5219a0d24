package machine

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// SuperviseVerb is the command under which the program must call Supervise,
// with State and Config as its arguments and its standard input as life.
const SuperviseVerb = "__supervise"

// Running is a qube that lives as long as the process that started it, or
// until Release.
type Running struct {
	supervisor *exec.Cmd
	life       io.Closer
	wait       func() error // once for all callers of Release
}

// Start boots a qube and returns when it is up. program is the one with
// SuperviseVerb. However this process ends, the qube ends too.
func Start(s State, c Config, program string) (*Running, error) {
	config, err := c.encode()
	if err != nil {
		return nil, err
	}
	var said strings.Builder
	supervisor := exec.Command(program, SuperviseVerb, string(s), config)
	supervisor.Stderr = &said
	// Go's pipes are close-on-exec: nobody else keeps the qube alive.
	life, err := supervisor.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := supervisor.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := supervisor.Start(); err != nil {
		return nil, fmt.Errorf("starting the supervisor of %q: %w", c.Name, err)
	}
	// The supervisor gives up by itself after bootTime.
	if line, _ := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		_ = life.Close() // the supervisor may be gone, which closed the other end
		err := supervisor.Wait()
		return nil, fmt.Errorf("booting %q: %w: %s", c.Name, err, strings.TrimSpace(said.String()))
	}
	return &Running{supervisor, life, sync.OnceValue(supervisor.Wait)}, nil
}

// Supervisor is the host's PID of the process that watches over the qube.
func (r *Running) Supervisor() int { return r.supervisor.Process.Pid }

// Release kills the qube, if it still runs, and waits until nothing of it is
// left but its home.
func (r *Running) Release() error {
	_ = r.life.Close() // the supervisor may be gone, which closed the other end
	if err := r.wait(); err != nil {
		return fmt.Errorf("ending the qube's supervisor: %w", err)
	}
	return nil
}

// Up boots a qube that outlives this process. What its supervisor has to say
// later goes to the state directory.
func Up(s State, c Config) error {
	if err := errors.Join(Possible(), c.check(), s.makeDirs(c.Name)); err != nil {
		return err
	}
	config, err := c.encode()
	if err != nil {
		return err
	}
	said, err := os.CreateTemp(filepath.Join(s.path(c.Name)), "supervisor-")
	if err != nil {
		return err
	}
	defer said.Close()
	defer os.Remove(said.Name())
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	supervisor := exec.Command("/proc/self/exe", SuperviseVerb, string(s), config, "detached")
	supervisor.Stdout, supervisor.Stderr = w, said
	supervisor.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = supervisor.Start()
	w.Close()
	if err != nil {
		return fmt.Errorf("starting the supervisor of %q: %w", c.Name, err)
	}
	if line, _ := bufio.NewReader(r).ReadString('\n'); line == "ready\n" {
		return nil
	}
	err = supervisor.Wait()
	words, _ := os.ReadFile(said.Name())
	return fmt.Errorf("booting %q: %w: %s", c.Name, err, strings.TrimSpace(string(words)))
}

// Stop shuts a qube down as its systemd does it, and kills what is left after
// ten seconds.
func (s State) Stop(ctx context.Context, name string) error {
	qube, ok := s.find(name)
	if !ok {
		return fmt.Errorf("qube %q is not running", name)
	}
	// systemd's shutdown waits for a signal when the processes it ends are gone,
	// which never comes for the children of those who entered.
	for _, pid := range qube.entered() {
		if err := syscall.Kill(pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("shutting down %q: %w", name, err)
		}
	}
	const poweroff = syscall.Signal(34 + 4) // SIGRTMIN+4 starts poweroff.target, systemd(1)
	if err := syscall.Kill(qube.init.pid, poweroff); err != nil {
		return fmt.Errorf("shutting down %q: %w", name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for qube.init.alive() && ctx.Err() == nil {
		time.Sleep(10 * time.Millisecond)
	}
	return s.Down(name)
}

// Down kills a qube, if it runs, and returns when nothing is left of it but
// its home.
func (s State) Down(name string) error {
	if _, err := os.Stat(s.path(name)); err != nil {
		return fmt.Errorf("no qube %q here", name)
	}
	if qube, ok := s.find(name); ok {
		if err := syscall.Kill(qube.init.pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("killing %q: %w", name, err)
		}
	}
	for range 500 { // until its supervisor, if any, is done
		lock, err := s.lock(name)
		if err == nil {
			os.Remove(s.path(name, "pid"))
			lock.Close()
			return sweepCgroups()
		}
		if !errors.Is(err, errRunning) {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("qube %q does not die", name)
}
