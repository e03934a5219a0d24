package slots

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestAtMostSizeAtOnceAndNobodyFails(t *testing.T) {
	t.Parallel()
	pool := New(t.TempDir(), "ssh", 3)
	var now, peak, served atomic.Int32
	var wg sync.WaitGroup
	for range 60 {
		wg.Go(func() {
			slot, err := pool.Acquire(t.Context())
			if err != nil {
				t.Errorf("acquire: %v", err)
				return
			}
			n := now.Add(1)
			for old := peak.Load(); n > old && !peak.CompareAndSwap(old, n); old = peak.Load() {
			}
			time.Sleep(time.Millisecond)
			now.Add(-1)
			served.Add(1)
			if err := slot.Release(); err != nil {
				t.Errorf("release: %v", err)
			}
		})
	}
	wg.Wait()
	if peak.Load() != 3 || served.Load() != 60 {
		t.Errorf("peak %d, served %d, want 3 and 60", peak.Load(), served.Load())
	}
}

// Who comes first is served first, to the last place of the queue.
func TestWaitingIsInOrderOfArrival(t *testing.T) {
	t.Parallel()
	pool := New(t.TempDir(), "ssh", 1)
	first, err := pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const waiters = 40
	order := make(chan int, waiters)
	var wg sync.WaitGroup
	for i := range waiters {
		wg.Go(func() {
			slot, err := pool.Acquire(t.Context())
			if err != nil {
				t.Errorf("acquire: %v", err)
				return
			}
			order <- i
			slot.Release()
		})
		waitTickets(t, pool, i+1)
	}
	first.Release()
	wg.Wait()
	close(order)
	place := 0
	for i := range order {
		if i != place {
			t.Errorf("number %d was served as number %d", i, place)
		}
		place++
	}
	if left, err := pool.tickets(); len(left) != 0 || err != nil {
		t.Errorf("tickets left behind: %v, %v", left, err)
	}
}

func waitTickets(t *testing.T, pool *Pool, n int) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if waiting, err := pool.tickets(); err != nil || len(waiting) == n {
			return
		}
	}
	t.Fatalf("never saw %d waiting", n)
}

// A waiter that is killed leaves its ticket file behind, unlocked: those behind
// it neither hang nor overtake those before it.
func TestKilledWaiterHoldsUpNobody(t *testing.T) {
	t.Parallel()
	pool := New(t.TempDir(), "ssh", 1)
	first, err := pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(pool.path(ticketName(7)), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if waiting, err := pool.Contended(); waiting || err != nil {
		t.Errorf("a dead waiter counts as one: %v, %v", waiting, err)
	}
	done := make(chan error, 1)
	go func() {
		slot, err := pool.Acquire(t.Context())
		if err == nil {
			err = slot.Release()
		}
		done <- err
	}()
	waitTickets(t, pool, 1) // the dead one's is swept
	first.Release()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestSlotOfAKilledProcessIsFree(t *testing.T) {
	t.Parallel()
	if dir := os.Getenv("SLOTS_TEST_HOLD"); dir != "" {
		if _, err := New(dir, "ssh", 1).Acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		os.Stdout.WriteString("held\n")
		time.Sleep(time.Minute) // until it is killed
	}
	dir := t.TempDir()
	holder := exec.Command(os.Args[0], "-test.run=^TestSlotOfAKilledProcessIsFree$")
	holder.Env = append(os.Environ(), "SLOTS_TEST_HOLD="+dir)
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	if b := make([]byte, 5); true {
		if _, err := out.Read(b); err != nil || string(b) != "held\n" {
			t.Fatalf("holder said %q, %v", b, err)
		}
	}
	pool := New(dir, "ssh", 1)
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := pool.Acquire(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("a held slot was given out: %v", err)
	}
	if err := holder.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = holder.Wait()
	slot, err := pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	slot.Release()
}

func TestContendedOnlyWhileSomebodyWaits(t *testing.T) {
	t.Parallel()
	pool := New(t.TempDir(), "ssh", 1)
	slot, err := pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if waiting, err := pool.Contended(); waiting || err != nil {
		t.Fatalf("nobody waits, yet contended: %v, %v", waiting, err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if second, err := pool.Acquire(t.Context()); err == nil {
			second.Release()
		}
	}()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		waiting, err := pool.Contended()
		if err != nil {
			t.Fatal(err)
		}
		if waiting {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("somebody waits, yet never contended")
		}
	}
	slot.Release()
	<-done
}

func TestOpenFollowsNoLink(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Symlink("/dev/null", dir+"/ssh.queue"); err != nil {
		t.Fatal(err)
	}
	if _, err := New(dir, "ssh", 1).Acquire(t.Context()); err == nil {
		t.Error("followed a symbolic link")
	}
}
