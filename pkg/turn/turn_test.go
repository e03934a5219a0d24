package turn

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func open(t *testing.T, dir, id string) *Turn {
	t.Helper()
	turn, err := Open(dir, id)
	if err != nil {
		t.Fatal(err)
	}
	return turn
}

// However many calls of a qube want to, one of them at a time is at the agent; each
// that waited knows it.
func TestOneAtATime(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var now, most, careful atomic.Int32
	var all sync.WaitGroup
	for range 20 {
		turn := open(t, dir, "work/agent")
		all.Go(func() {
			release, waited, err := turn.Take(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			most.Store(max(most.Load(), now.Add(1)))
			time.Sleep(5 * time.Millisecond)
			now.Add(-1)
			release()
			if waited {
				careful.Add(1)
			}
		})
	}
	all.Wait()
	if most.Load() != 1 || careful.Load() == 0 {
		t.Errorf("%d at once, %d waited", most.Load(), careful.Load())
	}
}

// Another qube, and another agent, wait for nobody.
func TestTurnsOfOthers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, _, err := open(t, dir, "work/agent").Take(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"mail/agent", "work/card"} {
		if _, careful, err := open(t, dir, id).Take(t.Context()); careful || err != nil {
			t.Errorf("%s: careful %v, %v", id, careful, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, _, err := open(t, dir, "work/agent").Take(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestThreeStrikes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for n := range 3 {
		turn := open(t, dir, "work/agent")
		release, careful, err := turn.Take(t.Context())
		if err != nil || careful != (n > 0) {
			t.Fatalf("strike %d: careful %v, %v", n, careful, err)
		}
		if err := turn.Strike(); err != nil {
			t.Fatal(err)
		}
		release()
	}
	turn := open(t, dir, "work/agent")
	for range 2 { // and it is not kept locked
		if _, _, err := turn.Take(t.Context()); !errors.Is(err, ErrTired) {
			t.Errorf("got %v", err)
		}
	}
	if _, _, err := open(t, dir, "mail/agent").Take(t.Context()); err != nil {
		t.Errorf("another qube: %v", err)
	}
}

func TestWithoutATurnNothingIsBounded(t *testing.T) {
	t.Parallel()
	var turn *Turn
	release, careful, err := turn.Take(t.Context())
	if err != nil || careful || turn.Strike() != nil {
		t.Error(careful, err)
	}
	release()
	if _, err := Open("/nonexistent", "x"); err == nil {
		t.Error("opened nothing")
	}
}
