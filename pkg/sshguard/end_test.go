package sshguard_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	logtest "github.com/sirupsen/logrus/hooks/test"

	"github.com/splitvault/splitvault/pkg/consent"
	"github.com/splitvault/splitvault/pkg/sshagent"
	"github.com/splitvault/splitvault/pkg/sshagent/bind"
	"github.com/splitvault/splitvault/pkg/sshguard"
)

// touch is an agent whose key waits for a finger that does not come.
type touch struct {
	*vault
	asked chan struct{}
}

func newTouch(v *vault) *touch { return &touch{v, make(chan struct{}, 10)} }

func (a *touch) Sign(ctx context.Context, _ *bind.List, _ bool, _ sshagent.Frame) (sshagent.Frame, error) {
	a.asked <- struct{}{}
	<-ctx.Done()
	return sshagent.Frame{}, context.Cause(ctx)
}

func TestEndsOfInput(t *testing.T) {
	t.Parallel()
	list := string(sshagent.RequestIdentities().Bytes())
	for _, row := range []struct {
		name, input string
		answers     int
		bad         bool
	}{
		{"nothing", "", 0, false},
		{"a newline, as people look whether the service is there", "\n", 0, false},
		{"three bytes", "\x00\x00\x00", 0, false},
		{"a length and no message", "\x00\x00\x00\x01", 0, true},
		{"half a message", list[:3] + "\x05\x0b", 0, true},
		{"a request", list, 1, false},
		{"a request and half of another", list + "\x00\x00", 1, true},
		{"many requests at once", list + list + list + list + list + list + list + list + list + list + list + list, 12, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			c := call(t, parseRules(t, allowAll), newVault(t, ed25519Key(t, "key").AddedKey))
			c.send([]byte(row.input))
			if err := c.conn.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if err := c.end(5 * time.Second); errors.Is(err, sshguard.ErrBadRequest) != row.bad || !row.bad && err != nil {
				t.Errorf("ended by %v", err)
			}
			if c.guard.Stats.Answers != row.answers {
				t.Errorf("%d answers, want %d", c.guard.Stats.Answers, row.answers)
			}
		})
	}
}

// Clients of an agent never half-close: the end of input means that nobody waits
// for the touch any more, also if more requests were sent ahead.
func TestEndOfInputCancelsWhatWaits(t *testing.T) {
	t.Parallel()
	for name, ahead := range map[string]int{"one request": 0, "requests sent ahead": 4} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := ed25519Key(t, "key")
			a := newTouch(newVault(t, k.AddedKey))
			c := call(t, parseRules(t, allowAll), a)
			c.send(k.ask(t, k.login("session", nil)).Bytes())
			<-a.asked
			c.send(bytes.Repeat(sshagent.RequestIdentities().Bytes(), ahead))
			if err := c.conn.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			if err := c.end(5 * time.Second); !errors.Is(err, sshguard.ErrGone) {
				t.Errorf("ended by %v", err)
			}
			if took := time.Since(start); took > 2*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

func TestAVanishedClientCancelsWhatWaits(t *testing.T) {
	t.Parallel()
	k := ed25519Key(t, "key")
	a := newTouch(newVault(t, k.AddedKey))
	ours, theirs := pair(t)
	log, _ := logtest.NewNullLogger()
	g := &sshguard.Guard{Qube: "work", Rules: parseRules(t, allowAll), Agents: []sshguard.Agent{a}, Log: log}
	ctx, vanish := context.WithCancelCause(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.Serve(ctx, theirs, theirs) }()
	if _, err := ours.Write(k.ask(t, k.login("session", nil)).Bytes()); err != nil {
		t.Fatal(err)
	}
	<-a.asked
	start := time.Now()
	vanish(sshguard.ErrGone)
	if err := <-ended; !errors.Is(err, sshguard.ErrGone) {
		t.Errorf("ended by %v", err)
	}
	if took := time.Since(start); took > 300*time.Millisecond {
		t.Errorf("it took %v", took)
	}
}

// bubble serves one call over a synchronous pipe, in a synctest bubble.
func bubble(t *testing.T, g *sshguard.Guard) (ours net.Conn, ended chan error) {
	t.Helper()
	ours, theirs := net.Pipe()
	log, _ := logtest.NewNullLogger()
	g.Qube, g.Log = "work", log
	ended = make(chan error, 1)
	go func() {
		ended <- g.Serve(t.Context(), theirs, theirs)
		theirs.Close()
	}()
	return ours, ended
}

func TestASlowMessageEndsTheCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ours, ended := bubble(t, &sshguard.Guard{})
		start := time.Now()
		var writer sync.WaitGroup
		defer writer.Wait()
		writer.Go(func() {
			for _, b := range []byte("\x00\x00\x00\x09\x0b........") {
				if _, err := ours.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(3 * time.Second)
			}
		})
		if err := <-ended; !errors.Is(err, sshguard.ErrBadRequest) {
			t.Errorf("ended by %v", err)
		}
		if took := time.Since(start); took != sshagent.FrameTime {
			t.Errorf("it took %v", took)
		}
	})
}

func TestAnIdleCallStays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ours, ended := bubble(t, &sshguard.Guard{})
		time.Sleep(24 * time.Hour)
		go func() { _, _ = ours.Write(sshagent.RequestIdentities().Bytes()) }()
		reply := make([]byte, 5)
		if _, err := io.ReadFull(ours, reply); err != nil || reply[4] != 5 {
			t.Errorf("reply %q, %v", reply, err)
		}
		ours.Close()
		if err := <-ended; err != nil {
			t.Errorf("ended by %v", err)
		}
	})
}

// A client that takes no answer holds the guard for a minute, and after the end
// of its input for less than a second.
func TestAClientThatDoesNotReadIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ours, ended := bubble(t, &sshguard.Guard{})
		start := time.Now()
		if _, err := ours.Write(sshagent.RequestIdentities().Bytes()); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err == nil {
			t.Error("ended well")
		}
		if took := time.Since(start); took != time.Minute {
			t.Errorf("it took %v", took)
		}
	})
}

func TestAClientThatNeitherReadsNorSendsIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		requests, in := net.Pipe()
		answers, out := net.Pipe()
		defer answers.Close()
		log, _ := logtest.NewNullLogger()
		g := &sshguard.Guard{Qube: "work", Log: log}
		ended := make(chan error, 1)
		go func() { ended <- g.Serve(t.Context(), in, out) }()
		if _, err := requests.Write(sshagent.RequestIdentities().Bytes()); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		requests.Close()
		if err := <-ended; !errors.Is(err, sshguard.ErrGone) {
			t.Errorf("ended by %v", err)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// A client that holds its call must not outlive a rule that was taken from it.
func TestTheCallEndsWhenTheRulesChange(t *testing.T) {
	t.Parallel()
	k := ed25519Key(t, "key")
	v := newVault(t, k.AddedKey)
	var changed atomic.Bool
	log, hook := logtest.NewNullLogger()
	c := serve(t, &sshguard.Guard{
		Qube: "work", Rules: parseRules(t, allowAll), Agents: []sshguard.Agent{v}, Log: log, Stale: changed.Load,
	}, hook)
	c.list()
	changed.Store(true)
	c.send(k.ask(t, sshsig("git")).Bytes())
	if err := c.end(5 * time.Second); !errors.Is(err, sshguard.ErrStale) {
		t.Errorf("ended with %v", err)
	}
	if v.signed() != 0 || len(c.rest()) != 0 {
		t.Error("the request was answered by the old rules")
	}
}

// What serves a client and is gone, or was not there when the call began, is not missed
// for longer than this call: the next one may reach another.
func TestWhatIsMissingEndsTheCall(t *testing.T) {
	t.Parallel()
	k := ed25519Key(t, "key")
	for name, row := range map[string]struct {
		guard   sshguard.Guard
		request sshagent.Frame
		want    error
	}{
		"no agent, a list":           {sshguard.Guard{Rules: parseRules(t, allowAll)}, sshagent.RequestIdentities(), sshguard.ErrAgent},
		"no agent, a signature":      {sshguard.Guard{Rules: parseRules(t, allowAll)}, k.ask(t, k.login("session", nil)), sshguard.ErrAgent},
		"nobody who could be asked":  {sshguard.Guard{Rules: parseRules(t, askAll), Agents: []sshguard.Agent{newVault(t, k.AddedKey)}}, k.ask(t, sshsig("git")), sshguard.ErrPerson},
		"consentd ends in a request": {sshguard.Guard{Rules: parseRules(t, askAll), Agents: []sshguard.Agent{newVault(t, k.AddedKey)}, Person: &person{asked: make(chan consent.Request, 1), err: io.EOF, broken: true}}, k.ask(t, sshsig("git")), sshguard.ErrPerson},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log, hook := logtest.NewNullLogger()
			row.guard.Qube, row.guard.Log = "work", log
			c := serve(t, &row.guard, hook)
			c.refused(row.request)
			select {
			case err := <-c.ended:
				if !errors.Is(err, row.want) {
					t.Errorf("ended with %v, want %v", err, row.want)
				}
			case <-time.After(5 * time.Second):
				t.Error("it does not end")
			}
		})
	}
}

// ssh tries its next key at once when one is refused: a rule that allows that one must
// not be missed because the first needed a person.
func TestAClientThatTriesItsNextKeyIsServedByTheSameCall(t *testing.T) {
	t.Parallel()
	k, next := ed25519Key(t, "asked"), ed25519Key(t, "allowed")
	both := "[[ssh.rule]]\nqube = \"work\"\nkeys = [\"" + k.fingerprint() + "\"]\ndecision = \"ask\"\n" + allowAll
	ended := make(chan struct{})
	for name, g := range map[string]*sshguard.Guard{
		"nobody who could be asked":  {},
		"consentd ends in a request": {Person: &person{asked: make(chan consent.Request, 9), err: io.EOF, broken: true}, PersonEnded: ended},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			end := sync.OnceFunc(func() { close(ended) })
			if g.PersonEnded == nil {
				end = func() {}
			}
			log, hook := logtest.NewNullLogger()
			g.Qube, g.Log, g.Rules = "work", log, parseRules(t, both)
			g.Agents = []sshguard.Agent{newVault(t, k.AddedKey, next.AddedKey)}
			c := serve(t, g, hook)
			for range 5 {
				c.refused(k.ask(t, sshsig("git")))
				end()
				if reply := c.ask(next.ask(t, sshsig("git"))); reply.Type() != sshagent.TypeSignResponse {
					t.Fatalf("the key that is allowed gets %v", reply.Type())
				}
			}
			if err := <-c.ended; !errors.Is(err, sshguard.ErrPerson) {
				t.Errorf("ended with %v", err)
			}
		})
	}
}

// What is missing ends no call in which it is not needed: a client's bindings must
// get through, and a qube without rules learns nothing of the vault's agents.
func TestWhatIsNotNeededIsNotMissed(t *testing.T) {
	t.Parallel()
	k := ed25519Key(t, "key")
	for name, row := range map[string]struct {
		rules   string
		agents  []sshguard.Agent
		request sshagent.Frame
		good    bool
	}{
		"a binding without an agent":         {allowAll, nil, k.binding(t, "session", false), true},
		"a list without a rule":              {"", nil, sshagent.RequestIdentities(), false},
		"a list where only signing is asked": {askAll, []sshguard.Agent{newVault(t, k.AddedKey)}, sshagent.RequestIdentities(), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := call(t, parseRules(t, row.rules), row.agents...)
			for range 2 {
				if reply := c.ask(row.request); (reply.Type() != sshagent.TypeFailure) != row.good {
					t.Errorf("answered by %v", reply.Type())
				}
			}
		})
	}
}

// Where a client and what serves it end in the same moment, it is the client's end that
// is told of.
func TestTheEndOfTheClientCountsFirst(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	close(ended)
	for range 100 {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(sshguard.ErrGone)
		log, _ := logtest.NewNullLogger()
		g := &sshguard.Guard{Qube: "work", Log: log, AgentEnded: ended, PersonEnded: ended}
		in, client := pair(t)
		if err := g.Serve(ctx, in, in); !errors.Is(err, sshguard.ErrGone) {
			t.Fatalf("ended by %v", err)
		}
		client.Close()
		in.Close()
	}
}
