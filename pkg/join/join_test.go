package join

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func group(t *testing.T) *Group {
	t.Helper()
	dir, err := os.MkdirTemp("", "join") // a short path: it is a socket's
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if left, err := os.ReadDir(dir); err != nil || len(left) > 1 {
			t.Errorf("left behind: %v, %v", left, err)
		}
		os.RemoveAll(dir)
	})
	return &Group{Dir: dir}
}

// person decides when the work is done.
type person struct {
	asked  atomic.Int32
	answer chan string
	ended  atomic.Int32 // prompts that were taken away
}

func (p *person) work(ctx context.Context) []byte {
	p.asked.Add(1)
	select {
	case a := <-p.answer:
		return []byte(a)
	case <-ctx.Done():
		p.ended.Add(1)
		return nil
	}
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// waits is how many followers are connected.
func waits(t *testing.T, g *Group, key string) bool {
	t.Helper()
	_, err := os.Stat(g.path(key, ".sock"))
	return err == nil
}

func TestEqualRequestsAreOnePrompt(t *testing.T) {
	t.Parallel()
	g, p := group(t), &person{answer: make(chan string, 1)}
	key := Key([]byte("1000"), []byte("https://app.example.org"), []byte("account_list"), []byte("[]"))
	var all sync.WaitGroup
	results := make([]string, 8)
	for i := range results {
		all.Go(func() {
			b, err := g.Do(t.Context(), t.Context(), key, p.work)
			if err != nil {
				t.Error(err)
			}
			results[i] = string(b)
		})
	}
	until(t, "a prompt", func() bool { return p.asked.Load() > 0 })
	time.Sleep(100 * time.Millisecond) // so that some do join; right without it, too
	p.answer <- "yes"
	go func() {
		for range results { // a late one begins anew
			p.answer <- "yes"
		}
	}()
	all.Wait()
	for i, r := range results {
		if r != "yes" {
			t.Errorf("%d: %q", i, r)
		}
	}
	if n := p.asked.Load(); n > 2 {
		t.Errorf("%d prompts", n)
	}
}

func TestDifferentRequestsDoNotJoin(t *testing.T) {
	t.Parallel()
	g := group(t)
	keys := map[string]bool{}
	for _, parts := range [][]string{{"a", "b"}, {"ab", ""}, {"", "ab"}, {"a", "b", ""}, {"a", "c"}} {
		var b [][]byte
		for _, p := range parts {
			b = append(b, []byte(p))
		}
		key := Key(b...)
		keys[key] = true
		got, err := g.Do(t.Context(), t.Context(), key, func(context.Context) []byte { return []byte(strings.Join(parts, "|")) })
		if err != nil || string(got) != strings.Join(parts, "|") {
			t.Errorf("%q: %q, %v", parts, got, err)
		}
	}
	if len(keys) != 5 {
		t.Errorf("only %d keys", len(keys))
	}
}

// viem: the first try times out, the second gets the answer of the first prompt.
func TestTheNextTryGetsTheAnswerToTheFirst(t *testing.T) {
	t.Parallel()
	for _, late := range []bool{false, true} { // whether the person answers between the tries
		g, p := group(t), &person{answer: make(chan string, 1)}
		first, giveUp := context.WithCancel(t.Context())
		led := make(chan error, 1)
		go func() {
			_, err := g.Do(t.Context(), first, "k", p.work)
			led <- err
		}()
		until(t, "a prompt", func() bool { return p.asked.Load() == 1 && waits(t, g, "k") })
		giveUp()
		if late {
			p.answer <- "signed"
			time.Sleep(50 * time.Millisecond)
		} else {
			time.AfterFunc(100*time.Millisecond, func() { p.answer <- "signed" })
		}
		got, err := g.Do(t.Context(), t.Context(), "k", p.work)
		if err != nil || string(got) != "signed" || p.asked.Load() != 1 {
			t.Errorf("late %v: %q, %v, %d prompts", late, got, err, p.asked.Load())
		}
		if err := <-led; !errors.Is(err, ErrGone) {
			t.Errorf("the leader: %v", err)
		}
	}
}

func TestALeaderGivesUpWhenNobodyCame(t *testing.T) {
	t.Parallel()
	g, p := group(t), &person{answer: make(chan string, 1)}
	g.Patience = 200 * time.Millisecond
	client, gone := context.WithCancel(t.Context())
	gone()
	start := time.Now()
	if _, err := g.Do(t.Context(), client, "k", p.work); !errors.Is(err, ErrGone) || p.ended.Load() != 1 {
		t.Errorf("%v, %d ended", err, p.ended.Load())
	}
	if took := time.Since(start); took < g.Patience {
		t.Errorf("after %v", took)
	}
	// And a result that nobody fetches is thrown away.
	p.answer <- "signed"
	if _, err := g.Do(t.Context(), client, "k", p.work); !errors.Is(err, ErrGone) {
		t.Error(err)
	}
	p.answer <- "again"
	if got, err := g.Do(t.Context(), t.Context(), "k", p.work); err != nil || string(got) != "again" {
		t.Errorf("%q, %v", got, err)
	}
}

// A leader that is killed says nothing; who waited asks anew.
func TestAResultCutShortIsNone(t *testing.T) {
	t.Parallel()
	g := group(t)
	lock, err := g.lock("k")
	if err != nil || lock == nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("unix", filepath.Join(g.Dir, "k.sock"))
	if err != nil {
		t.Fatal(err)
	}
	whole := frame([]byte("0123456789"))
	go func() {
		for i := range whole {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write(whole[:i])
			conn.Close()
		}
		listener.Close()
		lock.Close()
	}()
	got, err := g.Do(t.Context(), t.Context(), "k", func(context.Context) []byte { return []byte("own") })
	if err != nil || string(got) != "own" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestLargeResultsAreHandedOver(t *testing.T) {
	t.Parallel()
	g := group(t)
	large := bytes.Repeat([]byte("x"), 8<<20)
	release := make(chan struct{})
	var leader sync.WaitGroup
	leader.Go(func() {
		if _, err := g.Do(t.Context(), t.Context(), "k", func(context.Context) []byte { <-release; return large }); err != nil {
			t.Error(err)
		}
	})
	until(t, "a leader", func() bool { return waits(t, g, "k") })
	time.AfterFunc(100*time.Millisecond, func() { close(release) })
	got, err := g.Do(t.Context(), t.Context(), "k", func(context.Context) []byte { return large })
	if err != nil || !bytes.Equal(got, large) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	leader.Wait()
}

func TestStoppingTheProcessEndsTheWork(t *testing.T) {
	t.Parallel()
	g, p := group(t), &person{answer: make(chan string)}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { _, err := g.Do(ctx, t.Context(), "k", p.work); done <- err }()
	until(t, "a prompt", func() bool { return p.asked.Load() == 1 })
	stop()
	if err := <-done; !errors.Is(err, context.Canceled) || p.ended.Load() != 1 {
		t.Errorf("%v", err)
	}
}

func TestAStaleSocketIsReplaced(t *testing.T) {
	t.Parallel()
	g := group(t)
	if err := os.WriteFile(filepath.Join(g.Dir, "k.sock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := g.Do(t.Context(), t.Context(), "k", func(context.Context) []byte { return []byte("x") }); err != nil || string(got) != "x" {
		t.Errorf("%q, %v", got, err)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(g.Dir, "l.lock")); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Do(t.Context(), t.Context(), "l", func(context.Context) []byte { return nil }); err == nil {
		t.Error("a link was followed")
	}
}

// Whoever was killed cannot clean up, and his request may never come again.
func TestTheNextOneCleansUpAfterTheDead(t *testing.T) {
	t.Parallel()
	g := group(t)
	leave := func(key string) *os.File {
		lock, err := g.lock(key)
		if err != nil || lock == nil {
			t.Fatalf("no lock: %v", err)
		}
		if err := os.WriteFile(g.path(key, ".sock"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		return lock
	}
	leave("dead").Close()
	alive := leave("alive")
	// It is done beside the work, which gives it the time here.
	result, err := g.Do(t.Context(), t.Context(), "next", func(context.Context) []byte {
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
			if left, err := filepath.Glob(g.path("dead", ".*")); err == nil && len(left) == 0 {
				return []byte("done")
			}
		}
		return []byte("the files of the dead are there")
	})
	if err != nil || string(result) != "done" {
		t.Errorf("the work gives %q, %v", result, err)
	}
	for _, suffix := range []string{".lock", ".sock"} {
		if err := os.Remove(g.path("alive", suffix)); err != nil {
			t.Errorf("of one that lives: %v", err)
		}
	}
	alive.Close()
}
