package consentd

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/splitvault/splitvault/pkg/consent"
)

// script is an Asker that answers by what a test says, after a second.
type script struct {
	answer func(r consent.Request) consent.Reason

	mu    sync.Mutex
	asked []string // "qube purpose"
	now   int
	most  int // prompts at once
}

func (s *script) Ask(ctx context.Context, _ consent.Screen, r consent.Request) consent.Reason {
	s.mu.Lock()
	s.asked = append(s.asked, r.Qube+" "+r.Subject[0].Value)
	s.now++
	s.most = max(s.most, s.now)
	s.mu.Unlock()
	defer func() { s.mu.Lock(); s.now--; s.mu.Unlock() }()
	select {
	case <-ctx.Done():
		return consent.Withdrawn
	case <-time.After(time.Second):
		return s.answer(r)
	}
}

func always(r consent.Reason) func(consent.Request) consent.Reason {
	return func(consent.Request) consent.Reason { return r }
}

func request(qube, subject string, remember time.Duration) consent.Request {
	return consent.Request{
		Service: "ssh", Qube: qube, Subject: []consent.Fact{{Name: "key", Value: subject}},
		Lines: []consent.Line{{Text: "Allow?"}}, Remember: remember,
	}
}

func desk(t *testing.T, asker Asker) *Desk {
	t.Helper()
	log := logrus.New()
	log.SetOutput(io.Discard)
	d := NewDesk(DefaultTimes(), consent.HoldsIn(t.TempDir()), asker, log)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); d.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return d
}

func (d *Desk) asks(t *testing.T, want consent.Reason, r consent.Request) {
	t.Helper()
	if a := d.Ask(t.Context(), consent.Screen{}, r); a.Reason != want {
		t.Errorf("%s: got %q, want %q", r.Qube, a, want)
	}
}

func TestEqualQuestionsShareOnePrompt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{answer: always(consent.Once)}
		d := desk(t, s)
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() { d.asks(t, consent.Once, request("work", "a", 0)) })
		}
		all.Wait()
		if len(s.asked) != 1 {
			t.Errorf("%d prompts", len(s.asked))
		}
		d.asks(t, consent.Once, request("work", "a", 0))
		if len(s.asked) != 2 {
			t.Error("\"once\" answered a later question")
		}
	})
}

func TestQueueIsBoundedAndFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{answer: always(consent.Once)}
		d := desk(t, s)
		var all sync.WaitGroup
		for n, want := range []consent.Reason{consent.Once, consent.Once, consent.Once, consent.Once, consent.QueueFull} {
			all.Go(func() { d.asks(t, want, request("work", fmt.Sprint(n), 0)) })
			synctest.Wait()
		}
		all.Go(func() { d.asks(t, consent.Once, request("mail", "x", 0)) })
		all.Wait()
		want := "[work 0 work 1 mail x work 2 work 3]"
		if got := fmt.Sprint(s.asked); got != want || s.most != 1 {
			t.Errorf("got %s, %d at once, want %s", got, s.most, want)
		}
	})
}

func TestQueueEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{answer: func(consent.Request) consent.Reason { time.Sleep(time.Minute); return consent.TimedOut }}
		d := desk(t, s)
		var all sync.WaitGroup
		for n := range 4 {
			all.Go(func() {
				want := consent.TimedOut
				if n >= 2 { // the prompts before it took 122 seconds
					want = consent.Waited
				}
				d.asks(t, want, request(fmt.Sprint("q", n), "a", 0))
			})
			synctest.Wait()
		}
		all.Wait()
	})
}

func TestGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{answer: always(consent.Lasting)}
		d := desk(t, s)
		a := request("work", "a", 5*time.Minute)
		d.asks(t, consent.Lasting, a)
		d.asks(t, consent.Granted, a)
		for name, other := range map[string]consent.Request{
			"another qube":       request("mail", "a", 0),
			"another subject":    request("work", "b", 0),
			"a rule without one": request("work", "a", 0),
		} {
			before := len(s.asked)
			if d.asks(t, consent.Once, other); len(s.asked) != before+1 {
				t.Errorf("%s is not asked about", name)
			}
		}
		time.Sleep(2 * time.Minute)
		d.asks(t, consent.Granted, a)
		d.asks(t, consent.Lasting, request("work", "a", time.Minute)) // the rule is stricter now
		time.Sleep(61 * time.Second)
		d.asks(t, consent.Lasting, a)
		if n := d.Revoke(consent.Which{Qube: "mail"}); n != 0 {
			t.Errorf("%d revoked", n)
		}
		if n := d.Revoke(consent.Which{Qube: "work"}); n != 1 {
			t.Errorf("%d revoked", n)
		}
		d.asks(t, consent.Lasting, a)
		state, err := d.State()
		if err != nil || len(state.Grants) != 1 || d.Revoke(consent.Which{ID: state.Grants[0].ID}) != 1 {
			t.Errorf("%v, %v", state, err)
		}
		d.asks(t, consent.Lasting, a)
		if d.Revoke(consent.Which{All: true}) != 1 {
			t.Error("not all are revoked")
		}
	})
}

func TestDisposablesGetNoGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := desk(t, &script{answer: always(consent.Lasting)})
		r := request("disp1234", "a", time.Hour)
		d.asks(t, consent.Once, r)
		d.asks(t, consent.Once, r)
		r.Named = true
		d.asks(t, consent.Lasting, r)
		d.asks(t, consent.Granted, r)
		d.asks(t, consent.Lasting, request("disposal", "a", time.Hour))
	})
}

func TestThreeDenialsSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{answer: always(consent.Denied)}
		d := desk(t, s)
		r := request("work", "a", 0)
		d.asks(t, consent.Denied, r)
		d.asks(t, consent.Denied, r)
		time.Sleep(time.Minute) // these count no more
		d.asks(t, consent.Denied, r)
		var all sync.WaitGroup
		s.answer = always(consent.Closed)
		for n, want := range []consent.Reason{consent.Closed, consent.Closed, consent.Silenced, consent.Silenced} {
			all.Go(func() { d.asks(t, want, request("work", fmt.Sprint(n), 0)) })
			synctest.Wait()
		}
		all.Wait()
		before := len(s.asked)
		d.asks(t, consent.Silenced, r)
		if len(s.asked) != before {
			t.Error("a silenced qube gets a prompt")
		}
		s.answer = always(consent.Once)
		d.asks(t, consent.Once, request("mail", "a", 0))
		again := NewDesk(d.times, d.holds, s, d.log) // after a kill
		again.asks(t, consent.Silenced, r)
		time.Sleep(5 * time.Minute)
		d.asks(t, consent.Once, r)
	})
}

func TestWithdrawnPromptGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{answer: func(consent.Request) consent.Reason { time.Sleep(time.Hour); return consent.Once }}
		d := desk(t, s)
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		other, cancelOther := context.WithTimeout(t.Context(), 800*time.Millisecond)
		defer cancelOther()
		var all sync.WaitGroup
		start := time.Now()
		all.Go(func() {
			if a := d.Ask(ctx, consent.Screen{}, request("work", "a", 0)); a.Allowed() || time.Since(start) != 500*time.Millisecond {
				t.Error(a, time.Since(start))
			}
		})
		all.Go(func() { d.Ask(other, consent.Screen{}, request("work", "a", 0)) })
		all.Wait()
		synctest.Wait()
		if s.now != 0 || len(s.asked) != 1 {
			t.Errorf("%d prompts are left of %d", s.now, len(s.asked))
		}
	})
}

func TestTooQuickIsShownAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		quick := 0
		s := &script{answer: func(consent.Request) consent.Reason {
			if quick++; quick == 1 {
				return consent.TooQuick
			}
			return consent.Once
		}}
		d := desk(t, s)
		d.asks(t, consent.Once, request("work", "a", 0))
		s.answer = always(consent.TooQuick)
		d.asks(t, consent.TooQuick, request("work", "a", 0))
		if len(s.asked) != 2+maxQuick {
			t.Errorf("%d prompts", len(s.asked))
		}
	})
}

func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{answer: always(consent.Lasting)}
		d := desk(t, s)
		r := request("work", "a", time.Hour)
		d.asks(t, consent.Lasting, r)
		var all sync.WaitGroup
		for _, subject := range []string{"shown", "queued"} {
			all.Go(func() { d.asks(t, consent.Paused, request("work", subject, 0)) })
		}
		synctest.Wait()
		if _, err := d.Pause(consent.Pause{Qube: "work", Minutes: 10}); err != nil {
			t.Fatal(err)
		}
		all.Wait()
		d.asks(t, consent.Paused, r) // the grant does not help
		d.asks(t, consent.Lasting, request("mail", "a", time.Hour))
		time.Sleep(10*time.Minute + time.Second)
		d.asks(t, consent.Granted, r)
		if _, err := d.Pause(consent.Pause{}); err != nil {
			t.Fatal(err)
		}
		d.asks(t, consent.Paused, request("mail", "a", time.Hour))
		if n, err := d.Pause(consent.Pause{End: true}); n != 1 || err != nil {
			t.Error(n, err)
		}
		d.asks(t, consent.Granted, r)
	})
}

func TestUnreadablePausesDenyEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		d := desk(t, &script{answer: always(consent.Once)})
		d.holds = consent.HoldsIn(dir)
		for _, content := range []string{"", "{}", "null", `{"v":2,"holds":[]}`, `{"v":1,"holds":[{"kind":"x","qube":"","until":"0001-01-01T00:00:00Z"}]}`} {
			if err := os.WriteFile(filepath.Join(dir, "holds.json"), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			d.asks(t, consent.StateUnread, request("work", "a", 0))
		}
		if _, err := d.Pause(consent.Pause{End: true}); err != nil {
			t.Fatal(err)
		}
		d.asks(t, consent.Once, request("work", "a", 0))
	})
}

func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := desk(t, &script{answer: always(consent.Lasting)})
		time.Sleep(5*time.Minute - time.Second)
		d.asks(t, consent.Lasting, request("work", "a", 20*time.Minute)) // takes a second
		for _, row := range []struct {
			after time.Duration
			idle  bool
		}{{4 * time.Minute, false}, {2 * time.Minute, false}, {13 * time.Minute, false}, {2 * time.Minute, true}} {
			if time.Sleep(row.after); d.Idle() != row.idle {
				t.Errorf("after %v more: idle is %v", row.after, !row.idle)
			}
		}
		if _, err := d.Pause(consent.Pause{Minutes: 1}); err != nil || d.Idle() {
			t.Error("a pause is forgotten", err)
		}
	})
}
