// Package turn lets the short-lived processes of one qube ask an agent one at a
// time, and keeps away from it those whose questions nobody answers.
//
// OpenSSH's ssh-agent serves one request at a time. While it asks a person whether
// a key may be used (ssh-add -c) or waits for the touch of a security key it serves
// nobody, and a client that hangs up leaves its question there. What a hostile qube
// can do with that is bounded by this: one question of it in the agent at any time,
// and after three that were refused or left alone, none for five minutes.
//
// All files are opened before a guard confines itself.
package turn

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/splitvault/splitvault/pkg/rate"
)

const (
	lookFirst = time.Millisecond
	lookMax   = 20 * time.Millisecond
)

// tolerance is how many questions may be left unanswered.
func tolerance() rate.Limit { return rate.Limit{Count: 3, Per: 5 * time.Minute} }

// ErrTired says that too many questions in the agent were refused or left alone.
var ErrTired = errors.New("three uses of this qube were refused, or left without an answer, in the agent itself: " +
	"none is passed on to it for five minutes")

// Turn is the turn of one qube at one agent; nil bounds nothing. It is not safe for
// use by several goroutines.
type Turn struct {
	lock    *os.File
	strikes *rate.Counter
}

// Open opens the turn that belongs to id, any text, in dir, which must exist and be
// closed to others (rundir.Make).
func Open(dir, id string) (*Turn, error) {
	sum := sha256.Sum256([]byte(id))
	path := filepath.Join(dir, hex.EncodeToString(sum[:16])+".turn")
	lock, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening a turn: %w", err)
	}
	strikes, err := rate.Open(dir, "strikes/"+id)
	if err != nil {
		lock.Close()
		return nil, fmt.Errorf("opening a turn: %w", err)
	}
	return &Turn{lock: lock, strikes: strikes}, nil
}

// Take waits for the turn until ctx ends. Careful says that the agent may still be
// at a question of this qube, so that it has to be found out before another is put.
// ErrTired says that it gets none; what cannot be told counts as that.
func (t *Turn) Take(ctx context.Context) (release func(), careful bool, err error) {
	if t == nil {
		return func() {}, false, nil
	}
	start := time.Now()
	for {
		err := unix.Flock(int(t.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			break
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return nil, false, fmt.Errorf("waiting for a turn: %w", err)
		}
		careful = true
		select {
		case <-ctx.Done():
			return nil, false, fmt.Errorf("waiting for a turn: %w", context.Cause(ctx))
		case <-time.After(min(max(time.Since(start)/16, lookFirst), lookMax)):
		}
	}
	// The lock ends with the process at the latest.
	release = func() { _ = unix.Flock(int(t.lock.Fd()), unix.LOCK_UN) }
	used, err := t.strikes.Used(time.Now(), tolerance())
	if err == nil && used >= tolerance().Count {
		err = ErrTired
	}
	if err != nil {
		release()
		return nil, false, err
	}
	return release, careful || used > 0, nil
}

// Strike counts a question that the agent's person refused or left alone. It is
// called during the turn.
func (t *Turn) Strike() error {
	if t == nil {
		return nil
	}
	_, err := t.strikes.Allow(time.Now(), tolerance())
	return err
}
