package sshrelay

import (
	"context"
	"errors"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/splitvault/splitvault/pkg/qrexec/qrexectest"
	"github.com/splitvault/splitvault/pkg/sshagent"
)

// keptCall is a call to a guard that may forget a client, or not.
type keptCall struct {
	mu     sync.Mutex
	notes  []string
	knows  bool // reset@splitvault
	stuck  chan struct{}
	dead   chan struct{}
	closed chan struct{}
	refuse int // resets after as many are refused
}

func newKeptCall() *keptCall {
	return &keptCall{knows: true, refuse: 1000, dead: make(chan struct{}), closed: make(chan struct{})}
}

func (c *keptCall) Exchange(ctx context.Context, f sshagent.Frame, last <-chan struct{}) (sshagent.Frame, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	class := sshagent.Classify(f)
	c.notes = append(c.notes, class.String())
	switch class {
	case sshagent.Query:
		if c.knows {
			return sshagent.QueryReply(sshagent.ExtensionBind, sshagent.ExtensionReset), nil
		}
		return sshagent.Failure(), nil
	case sshagent.Reset:
		if c.refuse--; c.refuse < 0 {
			return sshagent.ExtensionFailure(), nil
		}
		return sshagent.Success(), nil
	}
	if c.stuck != nil {
		select {
		case <-c.stuck:
		case <-last:
			return sshagent.Frame{}, errVault
		case <-ctx.Done():
			return sshagent.Frame{}, ctx.Err()
		}
	}
	return qrexectest.Reply(f), nil
}

func (c *keptCall) Dead() <-chan struct{} { return c.dead }
func (c *keptCall) Close()                { close(c.closed) }

func (c *keptCall) said() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.notes, " ")
}

// ended waits for the end of the call.
func (c *keptCall) ended(t *testing.T) {
	t.Helper()
	select {
	case <-c.closed:
	case <-time.After(5 * time.Second):
		t.Fatalf("the call is still open after: %s", c.said())
	}
}

// keep has a call kept, of a relay that has run for some time.
func keep(t *testing.T, c *keptCall, age time.Duration, contended func() bool) *Warm {
	t.Helper()
	dir, err := os.MkdirTemp("", "warm") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	w := &Warm{Dir: dir, For: 10 * time.Second, Kind: "k"}
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- w.Keep(ctx, c, time.Now().Add(-age), contended) }()
	t.Cleanup(func() {
		cancel()
		if err := <-result; err != nil {
			t.Error(err)
		}
		c.ended(t)
		if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
		os.RemoveAll(dir)
	})
	return w
}

func nobody() bool { return false }

// guest waits until the keeper is free.
func guest(t *testing.T, w *Warm) *warmLine {
	t.Helper()
	for range 500 {
		if l := w.find(); l != nil {
			return l
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal("no warm line")
	return nil
}

func lists(t *testing.T, l *warmLine) {
	t.Helper()
	reply, err := l.Exchange(t.Context(), sshagent.RequestIdentities(), nil)
	if err != nil || reply.Type() != sshagent.TypeIdentitiesAnswer {
		t.Errorf("listing: %v, %v", reply.Type(), err)
	}
}

// Between any two clients the guard is told to forget.
func TestOneCallServesManyClientsEachFromACleanState(t *testing.T) {
	t.Parallel()
	c := newKeptCall()
	w := keep(t, c, 0, nobody)
	for range 3 {
		l := guest(t, w)
		lists(t, l)
		lists(t, l)
		if w.find() != nil {
			t.Error("a second client shares the call")
		}
		l.Close()
	}
	guest(t, w).Close()
	if got, want := c.said(), "query reset list list reset list list reset list list reset"; !strings.HasPrefix(got, want) {
		t.Errorf("the guard was sent %q, want %q", got, want)
	}
}

func TestAGuardThatCannotForgetHasNoWarmLine(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		change func(*keptCall)
		want   string
	}{
		"it knows no reset":         {func(c *keptCall) { c.knows = false }, "query"},
		"it holds what was sent on": {func(c *keptCall) { c.refuse = 0 }, "query reset"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newKeptCall()
			row.change(c)
			w := keep(t, c, 0, nobody)
			c.ended(t)
			if w.find() != nil || c.said() != row.want {
				t.Errorf("it is offered; sent: %q", c.said())
			}
		})
	}
}

// What a client has asked must never be answered to the next.
func TestAClientThatLeavesItsQuestionOpenEndsTheCall(t *testing.T) {
	t.Parallel()
	c := newKeptCall()
	c.stuck = make(chan struct{})
	w := keep(t, c, 0, nobody)
	l := guest(t, w)
	if _, err := l.conn.Write(sshagent.RequestIdentities().Bytes()); err != nil {
		t.Fatal(err)
	}
	time.Sleep(50 * time.Millisecond)
	l.Close()
	c.ended(t)
}

// A relay sends one request at a time; whoever sends two gets no answer that
// could be taken for another's.
func TestTwoRequestsAtOnceEndTheCall(t *testing.T) {
	t.Parallel()
	c := newKeptCall()
	c.stuck = make(chan struct{})
	w := keep(t, c, 0, nobody)
	l := guest(t, w)
	two := slices.Concat(sshagent.RequestIdentities().Bytes(), sshagent.RequestIdentities().Bytes())
	if _, err := l.conn.Write(two); err != nil {
		t.Fatal(err)
	}
	c.ended(t)
	l.Close()
}

func TestWhatNoRelaySendsReachesNoGuard(t *testing.T) {
	t.Parallel()
	for name, message := range map[string][]byte{
		"reset":        sshagent.ResetRequest().Bytes(),
		"remove all":   {0, 0, 0, 1, 19},
		"length 0":     {0, 0, 0, 0},
		"length 4 GiB": {255, 255, 255, 255},
		"text":         []byte("GET / HTTP/1.1\r\n\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newKeptCall()
			w := keep(t, c, 0, nobody)
			l := guest(t, w)
			if _, err := l.conn.Write(message); err != nil {
				t.Fatal(err)
			}
			if _, err := l.Exchange(t.Context(), sshagent.RequestIdentities(), nil); err == nil {
				t.Error("it is served")
			}
			l.Close()
			again := guest(t, w) // the next client is
			lists(t, again)
			again.Close()
			if got := c.said(); !strings.HasPrefix(got, "query reset reset list") {
				t.Errorf("the guard was sent %q", got)
			}
		})
	}
}

// At the end of the call's time its client goes on with one of its own, and
// nothing is asked for twice.
func TestAnOldCallSaysGoodbye(t *testing.T) {
	t.Parallel()
	c := newKeptCall()
	w := keep(t, c, maxWarmLife-300*time.Millisecond, nobody)
	l := guest(t, w)
	lists(t, l)
	c.ended(t)
	<-l.Dead()
	_, err := l.Exchange(t.Context(), sshagent.RequestIdentities(), nil)
	if call, ok := errors.AsType[*CallError](err); !ok || !call.Unsent {
		t.Errorf("got %v", err)
	}
	l.Close()
}

// A signature may have been asked for: to ask again would be a second prompt.
func TestACallThatBreaksUnderARequestIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	ours, theirs := net.Pipe()
	l := newWarmLine(ours)
	defer l.Close()
	go func() {
		_, _ = theirs.Read(make([]byte, 64))
		theirs.Close()
	}()
	if _, err := l.Exchange(t.Context(), sshagent.RequestIdentities(), nil); !errors.Is(err, errWarmBroken) {
		t.Errorf("got %v", err)
	}
}

func TestOthersThatWaitGetTheCallsPlace(t *testing.T) {
	t.Parallel()
	c := newKeptCall()
	w := keep(t, c, 0, func() bool { return true })
	c.ended(t)
	if w.find() != nil {
		t.Error("it is offered")
	}
}

func TestACallThatHasEndedIsNotOffered(t *testing.T) {
	t.Parallel()
	c := newKeptCall()
	w := keep(t, c, 0, nobody)
	guest(t, w).Close()
	close(c.dead)
	c.ended(t)
	if w.find() != nil {
		t.Error("it is offered")
	}
}

func TestCallsOfAnotherKindAndTracesOfKilledRelaysAreNotUsed(t *testing.T) {
	t.Parallel()
	w := keep(t, newKeptCall(), 0, nobody)
	guest(t, w).Close()
	other := *w
	other.Kind = "another vault"
	if other.find() != nil {
		t.Error("a call to another vault is used")
	}
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: w.Dir + "/" + other.prefix() + "999999999", Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	stale.Close()
	if other.find() != nil {
		t.Error("found")
	}
	if _, err := os.Stat(stale.Addr().String()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the killed relay's socket: %v", err)
	}
}

func TestWarmSetting(t *testing.T) {
	for text, want := range map[string]time.Duration{"": 0, "0": 0, "10s": 10 * time.Second, "1.5s": 1500 * time.Millisecond} {
		if got, err := parseWarm(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"11s", "-1s", "ten", "10", "1h"} {
		if got, err := parseWarm(text); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
}
