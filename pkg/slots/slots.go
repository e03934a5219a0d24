// Package slots bounds how many qrexec calls the processes of one user hold at
// once. Xen gives out at 10 to 25 concurrent calls of a qube
// (QubesOS/qubes-issues#11059), and clients of an agent hold their connection
// for hours.
//
// A slot is a flock(2) on one of N files, so it ends with its process, however
// that ends. Who finds none takes a numbered ticket, a locked file, and waits
// for the lock of the ticket before; only the head of the queue looks for a
// free slot. So waiting is in the order of arrival, a waiter that is killed
// holds up nobody, and nothing fails for want of a slot.
package slots

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// How often the head of the queue looks for a free slot: soon at first, as most
// calls are short, then rarely, as a person may be reading a prompt.
const (
	lookFirst = 2 * time.Millisecond
	lookMax   = 20 * time.Millisecond
)

// Pool is a number of slots shared by all processes that name the same files.
type Pool struct {
	dir, name string
	size      int
}

// New returns the pool of size slots kept in dir/NAME.*; dir is the user's own.
func New(dir, name string, size int) *Pool {
	return &Pool{dir: dir, name: name, size: size}
}

// Slot is the right to one call.
type Slot struct{ file *os.File }

// Release gives the slot back. It may be called on nil.
func (s *Slot) Release() error {
	if s == nil {
		return nil
	}
	return s.file.Close()
}

// Acquire waits for a slot until ctx ends. A wait that ctx ended may keep a
// thread until the ticket before is done; the process should end then.
func (p *Pool) Acquire(ctx context.Context) (*Slot, error) {
	return p.AcquireOr(ctx, func() bool { return false })
}

// AcquireOr is Acquire for one who may also do without: other is tried whenever it
// is the caller's turn and, the first time, if nobody waits. Once it is true there
// is no slot, and no error.
func (p *Pool) AcquireOr(ctx context.Context, other func() bool) (*Slot, error) {
	if waiting, err := p.Contended(); err == nil && !waiting && other() {
		return nil, nil
	}
	slot, ticket, err := p.arrive()
	if slot != nil || err != nil {
		return slot, err
	}
	defer ticket.leave()
	if err := p.waitTurn(ctx, ticket); err != nil {
		return nil, fmt.Errorf("waiting for a turn: %w", err)
	}
	start := time.Now()
	for {
		if other() {
			return nil, nil
		}
		slot, err := p.try()
		if slot != nil || err != nil {
			return slot, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for a slot: %w", ctx.Err())
		case <-time.After(min(max(time.Since(start)/16, lookFirst), lookMax)):
		}
	}
}

// arrive takes a free slot if nobody waits, else a ticket. The lock on the
// queue file makes that one step.
func (p *Pool) arrive() (*Slot, *ticket, error) {
	queue, err := p.open("queue")
	if err != nil {
		return nil, nil, err
	}
	defer queue.Close()
	if err := flock(queue, unix.LOCK_EX); err != nil {
		return nil, nil, err
	}
	waiting, err := p.tickets()
	if err != nil {
		return nil, nil, err
	}
	if len(waiting) == 0 {
		if slot, err := p.try(); slot != nil || err != nil {
			return slot, nil, err
		}
	}
	number := uint64(0)
	if n := len(waiting); n > 0 {
		number = waiting[n-1] + 1
	}
	t := &ticket{number: number}
	if t.file, err = p.open(ticketName(number)); err != nil {
		return nil, nil, err
	}
	if err := flock(t.file, unix.LOCK_EX); err != nil {
		t.leave()
		return nil, nil, err
	}
	return nil, t, nil
}

// waitTurn waits until no ticket before t is held.
func (p *Pool) waitTurn(ctx context.Context, t *ticket) error {
	for {
		waiting, err := p.tickets()
		if err != nil {
			return err
		}
		before, found := uint64(0), false
		for _, n := range waiting {
			if n < t.number {
				before, found = n, true
			}
		}
		if !found {
			return nil
		}
		f, err := os.OpenFile(p.path(ticketName(before)), os.O_RDWR|unix.O_NOFOLLOW, 0)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := lock(ctx, f); err != nil {
			return err
		}
		// Its owner left, or was killed and could not remove it.
		(&ticket{file: f}).leave()
	}
}

// Contended tells whether somebody waits for a slot.
func (p *Pool) Contended() (bool, error) {
	waiting, err := p.tickets()
	if err != nil {
		return false, err
	}
	for _, n := range waiting {
		f, err := os.OpenFile(p.path(ticketName(n)), os.O_RDWR|unix.O_NOFOLLOW, 0)
		if err != nil {
			continue // just left
		}
		taken, err := tryLock(f, unix.LOCK_SH)
		f.Close()
		if err != nil {
			return false, err
		}
		if !taken {
			return true, nil
		}
	}
	return false, nil
}

// ticket is a place in the queue.
type ticket struct {
	number uint64
	file   *os.File
}

// leave removes the ticket before it unlocks it, so that who waits for it does
// not find it again.
func (t *ticket) leave() {
	_ = os.Remove(t.file.Name())
	t.file.Close()
}

const ticketPrefix = "ticket."

func ticketName(n uint64) string { return fmt.Sprintf("%s%020d", ticketPrefix, n) }

// tickets returns the numbers of all tickets, in order.
func (p *Pool) tickets() ([]uint64, error) {
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		return nil, fmt.Errorf("reading the queue: %w", err)
	}
	var numbers []uint64
	for _, e := range entries {
		if digits, ok := strings.CutPrefix(e.Name(), p.name+"."+ticketPrefix); ok {
			if n, err := strconv.ParseUint(digits, 10, 64); err == nil {
				numbers = append(numbers, n)
			}
		}
	}
	return numbers, nil // ReadDir sorts, and the numbers have one width
}

func (p *Pool) try() (*Slot, error) {
	for i := range p.size {
		f, err := p.open(strconv.Itoa(i))
		if err != nil {
			return nil, err
		}
		taken, err := tryLock(f, unix.LOCK_EX)
		if taken {
			return &Slot{file: f}, nil
		}
		f.Close()
		if err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func (p *Pool) path(suffix string) string { return filepath.Join(p.dir, p.name+"."+suffix) }

func (p *Pool) open(suffix string) (*os.File, error) {
	f, err := os.OpenFile(p.path(suffix), os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening a slot: %w", err)
	}
	return f, nil
}

// lock locks f, or closes it: at once if ctx has ended, else when its turn has
// come and nobody wants it any more.
func lock(ctx context.Context, f *os.File) error {
	if taken, err := tryLock(f, unix.LOCK_EX); taken || err != nil {
		if err != nil {
			f.Close()
		}
		return err
	}
	// flock has no time-out and cannot be interrupted from Go; the goroutine
	// waits in its place.
	result := make(chan error, 1)
	go func() { result <- flock(f, unix.LOCK_EX) }()
	select {
	case err := <-result:
		if err != nil {
			f.Close()
		}
		return err
	case <-ctx.Done():
		go func() {
			<-result
			f.Close()
		}()
		return ctx.Err()
	}
}

func tryLock(f *os.File, how int) (bool, error) {
	err := flock(f, how|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}

func flock(f *os.File, how int) error {
	for {
		err := unix.Flock(int(f.Fd()), how)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("locking %s: %w", filepath.Base(f.Name()), err)
		}
		return nil
	}
}
