package machine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// State is a directory of the host's that holds what outlives one boot of a
// qube: for each its home, and while it runs its lock and its PID.
type State string

// Home is the qube's /home/user: it survives Down and the next boot, and is
// forgotten by GC.
func (s State) Home(name string) string { return s.path(name, "home") }

// Qrexec is the qube's /run/qrexec-bench: where its qrexec agent finds dom0.
func (s State) Qrexec(name string) string { return filepath.Join(string(s), "qrexec", name) }

func (s State) path(name string, more ...string) string {
	return filepath.Join(append([]string{string(s), "qubes", name}, more...)...)
}

// makeDirs makes the directories of one qube.
func (s State) makeDirs(name string) error {
	if strings.ContainsAny(string(s), ":,\\") {
		return fmt.Errorf("state directory %q: it must not contain : , or \\", s)
	}
	for _, dir := range []string{s.path(name, "mnt"), s.path(name, "notify"), s.Home(name), s.Qrexec(name)} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("making the state directory of %q: %w", name, err)
		}
	}
	return nil
}

// errRunning: another supervisor has the qube's lock.
var errRunning = errors.New("is running already")

// lock takes the lock that a qube's supervisor holds for all its life. It
// fails with errRunning at once rather than wait.
func (s State) lock(name string) (*os.File, error) {
	f, err := os.OpenFile(s.path(name, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking %q: %w", name, err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return f, nil
	}
	f.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, fmt.Errorf("%q %w", name, errRunning)
	}
	return nil, fmt.Errorf("locking %q: %w", name, err)
}

// instance is a running qube as the host sees it.
type instance struct {
	init   process // the qube's PID 1
	cgroup string
}

// record writes what Enter, Down and List need to find the qube.
func (s State) record(name string, i instance) error {
	line := fmt.Sprintf("%d %s %s\n", i.init.pid, i.init.start, i.cgroup)
	return os.WriteFile(s.path(name, "pid"), []byte(line), 0o644)
}

// find returns the running qube, or false.
func (s State) find(name string) (instance, bool) {
	b, err := os.ReadFile(s.path(name, "pid"))
	if err != nil {
		return instance{}, false
	}
	var i instance
	if n, _ := fmt.Sscan(string(b), &i.init.pid, &i.init.start, &i.cgroup); n != 3 || !i.init.alive() {
		return instance{}, false
	}
	return i, true
}

// PID is the host's PID of a running qube's PID 1, 0 if it does not run.
func (s State) PID(name string) int {
	i, _ := s.find(name)
	return i.init.pid
}

// Names lists the qubes that have a state here, running or not.
func (s State) Names() ([]string, error) {
	entries, err := os.ReadDir(s.path(""))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing qubes: %w", err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, nil
}

// GC forgets the qubes that do not run, homes included, and sweeps what killed
// supervisors left.
func (s State) GC() error {
	names, err := s.Names()
	if err != nil {
		return err
	}
	for _, name := range names {
		lock, err := s.lock(name)
		if errors.Is(err, errRunning) {
			continue
		}
		if err != nil {
			return err
		}
		err = errors.Join(os.RemoveAll(s.path(name)), os.RemoveAll(s.Qrexec(name)))
		lock.Close()
		if err != nil {
			return fmt.Errorf("forgetting %q: %w", name, err)
		}
	}
	return sweepCgroups()
}

// Sweep removes the cgroups of all qubes, of whatever state directory, whose
// supervisor is dead.
func Sweep() error { return sweepCgroups() }
