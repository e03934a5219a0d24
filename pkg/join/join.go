// Package join lets processes of one user that would do the same work at the same
// time do it once. A client that loses patience asks again while a person is still
// reading the first prompt (viem does so four times); each time another process
// gets the request, and without this each would prompt anew.
//
// The first process leads: it holds the lock DIR/KEY.lock, listens on DIR/KEY.sock
// and works. The others connect to that socket and get its result. The leader may
// outlive the client it works for, for the sake of the next try, but not for long:
// when nobody has waited for [Patience], it gives up, and the work with it. A result
// that nobody got is kept for the rest of that time.
//
// Both files are in a directory that only this user can enter, and the leader asks
// the kernel whose process has connected all the same.
package join

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Patience is how long a leader may be without any client.
const Patience = 30 * time.Second

const (
	maxResult = 20 << 20              // bytes
	retry     = 20 * time.Millisecond // between two looks at a lock whose leader comes or goes
	greetTime = 5 * time.Second       // for a message between two processes of this machine
)

// Group is a directory in which work is joined.
type Group struct {
	Dir      string        // the user's own, mode 0700
	Patience time.Duration // 0: [Patience]
}

// Key names a work: processes that use the same parts join.
func Key(parts ...[]byte) string {
	sum := sha256.New()
	for _, p := range parts {
		_ = binary.Write(sum, binary.BigEndian, uint64(len(p))) // a hash takes everything
		sum.Write(p)
	}
	return hex.EncodeToString(sum.Sum(nil)[:20])
}

// ErrGone says that the client has gone before there was a result for it.
var ErrGone = errors.New("the client is gone")

// Do returns the result of work, done here or by another process that began
// earlier. client ends when the client for whom it is done has gone; the work goes
// on for [Patience] then, in case that another comes, and Do returns only after it.
// ctx, with which client must end too, ends all at once.
func (g *Group) Do(ctx, client context.Context, key string, work func(ctx context.Context) []byte) ([]byte, error) {
	for {
		lock, err := g.lock(key)
		if err != nil {
			return nil, err
		}
		if lock != nil {
			result, err := g.lead(ctx, client, key, work)
			lock.Close()
			return result, err
		}
		if result, ok := follow(client, g.path(key, ".sock")); ok {
			return result, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-client.Done():
			return nil, ErrGone
		case <-time.After(retry):
		}
	}
}

func (g *Group) path(key, suffix string) string { return filepath.Join(g.Dir, key+suffix) }

func (g *Group) patience() time.Duration {
	if g.Patience > 0 {
		return g.Patience
	}
	return Patience
}

// lock takes the lock of a key; nil means that another process has it.
func (g *Group) lock(key string) (*os.File, error) {
	path := g.path(key, ".lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("joining a request: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, unix.EINTR) {
			return nil, nil
		}
		return nil, fmt.Errorf("joining a request: %w", err)
	}
	// A leader removes the file while it has the lock: this may be one that was
	// removed.
	ours, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("joining a request: %w", err)
	}
	if now, err := os.Lstat(path); err != nil || !os.SameFile(ours, now) {
		f.Close()
		return nil, nil
	}
	return f, nil
}
