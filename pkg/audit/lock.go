package audit

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Patience bounds the wait for other writers of the file. They hold it for as
// long as one write takes.
const Patience = 200 * time.Millisecond

// ErrBusy says that another process held the file for too long.
var ErrBusy = errors.New("another process holds the file")

// lock takes the exclusive flock of a descriptor. It asks again and again, as flock(2) has
// no time-out and a decision must not wait for a process that was stopped.
func lock(fd int, patience time.Duration) error {
	end := time.Now().Add(patience)
	for pause := 200 * time.Microsecond; ; pause = min(2*pause, time.Millisecond) {
		switch err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); {
		case err == nil:
			return nil
		case errors.Is(err, unix.EINTR):
		case !errors.Is(err, unix.EWOULDBLOCK):
			return fmt.Errorf("locking: %w", err)
		case !time.Now().Before(end):
			return fmt.Errorf("locking: %w (waited %v)", ErrBusy, patience)
		}
		time.Sleep(pause)
	}
}

// unlock cannot fail on a descriptor that was locked.
func unlock(fd int) { _ = unix.Flock(fd, unix.LOCK_UN) }
