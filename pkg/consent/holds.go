package consent

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Kind is why a qube's questions are denied without a prompt.
type Kind string

const (
	// KindPause is by the person's command.
	KindPause Kind = "pause"
	// KindSilence is after three denials in a minute.
	KindSilence Kind = "silence"
)

// Hold says that a qube's questions are denied without a prompt.
type Hold struct {
	Kind  Kind      `json:"kind"`
	Qube  string    `json:"qube"`  // "" is every qube
	Until time.Time `json:"until"` // UTC, whole seconds; zero: until it is ended
}

// live tells whether the hold still holds.
func (h Hold) live(now time.Time) bool { return h.Until.IsZero() || now.Before(h.Until) }

func (h Hold) check() error {
	if h.Kind != KindPause && h.Kind != KindSilence {
		return fmt.Errorf("%w: a hold of kind %.40q", ErrProtocol, h.Kind)
	}
	return checkTexts([]string{h.Qube})
}

// Holds is the file that keeps the holds, so that they outlive consentd; its
// zero value is of no use. The file is small and read for every question: what
// another process wrote counts at once.
type Holds struct{ dir string }

const (
	holdsName = "holds.json"
	maxHolds  = 256
	holdsSize = 128 << 10
	lockTime  = time.Second
)

type holdsFile struct {
	V     int    `json:"v"`
	Holds []Hold `json:"holds"`
}

// HoldsIn returns the holds that are kept in splitvault's directory of state.
func HoldsIn(dir string) *Holds { return &Holds{dir: dir} }

// Live returns the holds that hold now. An error means that nobody can tell what
// is paused: whoever decides then denies.
func (h *Holds) Live(now time.Time) ([]Hold, error) {
	f, err := os.OpenFile(filepath.Join(h.dir, holdsName), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the pauses: %w", err)
	}
	defer f.Close()
	untrusted, err := io.ReadAll(io.LimitReader(f, holdsSize+1))
	if err != nil {
		return nil, fmt.Errorf("reading the pauses: %w", err)
	}
	if len(untrusted) > holdsSize {
		return nil, fmt.Errorf("reading the pauses: more than %d bytes", holdsSize)
	}
	file, err := decode[holdsFile](untrusted)
	if err != nil {
		return nil, fmt.Errorf("reading the pauses: %w", err)
	}
	if file.V != version {
		return nil, fmt.Errorf("reading the pauses: version %d", file.V)
	}
	for _, hold := range file.Holds {
		if err := hold.check(); err != nil {
			return nil, fmt.Errorf("reading the pauses: %w", err)
		}
	}
	return slices.DeleteFunc(file.Holds, func(hold Hold) bool { return !hold.live(now) }), nil
}

// Add begins a hold, in place of one of the same kind and qube.
func (h *Holds) Add(now time.Time, hold Hold) error {
	if err := hold.check(); err != nil {
		return err
	}
	hold.Until = hold.Until.UTC().Truncate(time.Second)
	return h.change(now, func(holds []Hold, err error) ([]Hold, error) {
		if err != nil {
			return nil, err
		}
		holds = slices.DeleteFunc(holds, func(old Hold) bool { return old.Kind == hold.Kind && old.Qube == hold.Qube })
		if len(holds) >= maxHolds {
			return nil, fmt.Errorf("%d qubes are paused or silenced already: pause all (splitvault pause)", maxHolds)
		}
		return append(holds, hold), nil
	})
}

// End lifts the pauses and silences of one qube, or all if none is named, and
// returns how many there were. A file that cannot be read is made anew by the latter.
func (h *Holds) End(now time.Time, qube string) (int, error) {
	count := 0
	err := h.change(now, func(holds []Hold, err error) ([]Hold, error) {
		if err != nil && qube != "" {
			return nil, err
		}
		rest := slices.DeleteFunc(slices.Clone(holds), func(old Hold) bool { return qube == "" || old.Qube == qube })
		count = len(holds) - len(rest)
		return rest, nil
	})
	return count, err
}

// change writes the file anew, one process at a time; a reader sees the old or
// the new one.
func (h *Holds) change(now time.Time, by func([]Hold, error) ([]Hold, error)) error {
	lock, err := os.OpenFile(filepath.Join(h.dir, "holds.lock"), os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return fmt.Errorf("writing the pauses: %w", err)
	}
	defer lock.Close()
	if err := flock(lock); err != nil {
		return fmt.Errorf("writing the pauses: %w", err)
	}
	holds, err := by(h.Live(now))
	if err != nil {
		return fmt.Errorf("writing the pauses: %w", err)
	}
	line, err := Encode(holdsFile{V: version, Holds: holds}, holdsSize)
	if err != nil {
		return fmt.Errorf("writing the pauses: %w", err)
	}
	f, err := os.CreateTemp(h.dir, holdsName+".")
	if err != nil {
		return fmt.Errorf("writing the pauses: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(line[:len(line)-1])
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("writing the pauses: %w", err)
	}
	if err := os.Rename(f.Name(), filepath.Join(h.dir, holdsName)); err != nil {
		return fmt.Errorf("writing the pauses: %w", err)
	}
	return nil
}

func flock(f *os.File) error {
	for end := time.Now().Add(lockTime); ; time.Sleep(10 * time.Millisecond) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil || !errors.Is(err, unix.EWOULDBLOCK) || time.Now().After(end) {
			return err
		}
	}
}

// Hold is the hold that a pause begins.
func (p Pause) Hold(now time.Time) Hold {
	h := Hold{Kind: KindPause, Qube: p.Qube}
	if p.Minutes > 0 {
		h.Until = now.Add(time.Duration(p.Minutes) * time.Minute)
	}
	return h
}
