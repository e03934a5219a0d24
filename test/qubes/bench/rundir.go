package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/splitvault/splitvault/test/qubes/bench/machine"
	"github.com/splitvault/splitvault/test/qubes/bench/roots"
)

// runDir is the directory of one process that uses the bench. While the process
// lives it holds a lock in it, so that others know what they may remove.
type runDir struct {
	path string
	lock *os.File
}

const (
	runPrefix   = "run-"
	freshPrefix = "new-"
)

// runsDir is where run directories are: with the caches, as /run and /tmp may
// forbid execution or be small, and nobody but root can guess at names there.
func runsDir() (string, error) {
	cache, err := roots.Cache()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "bench")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("making the bench's directory: %w", err)
	}
	return dir, nil
}

// newRunDir makes a run directory, after removing those of dead processes.
func newRunDir() (*runDir, error) {
	if err := Sweep(); err != nil {
		return nil, err
	}
	dir, err := runsDir()
	if err != nil {
		return nil, err
	}
	// Locked before it has the name that Sweep looks for.
	fresh, err := os.MkdirTemp(dir, freshPrefix)
	if err != nil {
		return nil, fmt.Errorf("making the run directory: %w", err)
	}
	lock, err := lockFile(context.Background(), filepath.Join(fresh, "lock"), 0)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, runPrefix+filepath.Base(fresh)[len(freshPrefix):])
	if err := os.Rename(fresh, path); err != nil {
		lock.Close()
		return nil, err
	}
	return &runDir{path, lock}, nil
}

func (r *runDir) remove() error {
	defer r.lock.Close()
	return os.RemoveAll(r.path)
}

// Sweep removes what processes that were killed have left: their directories
// and their qubes' cgroups.
func Sweep() error {
	dir, err := runsDir()
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		run := filepath.Join(dir, e.Name())
		if strings.HasPrefix(e.Name(), freshPrefix) {
			// Killed in the blink between its first two steps.
			if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > time.Hour {
				if err := os.RemoveAll(run); err != nil {
					return err
				}
			}
		}
		if !strings.HasPrefix(e.Name(), runPrefix) {
			continue
		}
		if err := sweepRun(run); err != nil {
			return err
		}
	}
	return machine.Sweep()
}

// sweepRun removes one run directory if its process is dead. Its qubes are
// dying then; theirs may take a moment.
func sweepRun(run string) error {
	lock, err := lockFile(context.Background(), filepath.Join(run, "lock"), 0)
	if errors.Is(err, errLocked) || errors.Is(err, os.ErrNotExist) {
		return nil // in use, or removed meanwhile
	}
	if err != nil {
		return err
	}
	defer lock.Close()
	states, err := filepath.Glob(filepath.Join(run, statePrefix+"*"))
	if err != nil {
		return err
	}
	for _, dir := range states {
		state := machine.State(dir)
		names, err := state.Names()
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := state.Down(name); err != nil {
				return fmt.Errorf("sweeping %q: %w", run, err)
			}
		}
	}
	return os.RemoveAll(run)
}

var errLocked = errors.New("locked by another process")

// lockFile takes an exclusive lock on a file, waiting as long as wait says.
func lockFile(ctx context.Context, path string, wait time.Duration) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) || ctx.Err() != nil {
			f.Close()
			if errors.Is(err, syscall.EWOULDBLOCK) {
				err = errLocked
			}
			return nil, fmt.Errorf("locking %q: %w", path, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
