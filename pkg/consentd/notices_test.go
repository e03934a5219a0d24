package consentd

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"

	"github.com/splitvault/splitvault/pkg/consent"
)

type shown struct{ texts chan string }

func (s *shown) send(_ context.Context, summary, body string) error {
	s.texts <- summary + "\n" + body
	return nil
}

func (s *shown) all() (all []string) {
	for {
		select {
		case text := <-s.texts:
			all = append(all, text)
		default:
			return all
		}
	}
}

func quiet() logrus.FieldLogger {
	log := logrus.New()
	log.SetOutput(io.Discard)
	return log
}

func used(qube, text string) consent.Notice {
	return consent.Notice{Service: "ssh", Qube: qube, Allowed: true, Text: text}
}

// A thousand uses are a few notifications, none of them is lost, and another
// qube's does not wait for them.
func TestNoticesOfABusyQubeAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shown{texts: make(chan string, 100)}
		n := NewNotices(s.send, quiet())
		for range 1000 {
			n.Tell(t.Context(), used("work", "log in"))
		}
		n.Tell(t.Context(), used("mail", "sign"))
		synctest.Wait()
		first := s.all()
		slices.Sort(first)
		if want := []string{"splitvault: mail was allowed\nssh: sign", "splitvault: work was allowed\nssh: log in"}; !slices.Equal(first, want) {
			t.Errorf("at once: %q, want %q", first, want)
		}
		if n.Idle() {
			t.Error("idle with 999 to tell")
		}
		time.Sleep(noticePause + time.Millisecond)
		later := s.all()
		if len(later) != 1 || !strings.Contains(later[0], "and 998 more") {
			t.Errorf("later: %q", later)
		}
		time.Sleep(noticePause)
		if rest := s.all(); len(rest) > 0 || !n.Idle() {
			t.Errorf("at the end: %q, idle %v", rest, n.Idle())
		}
		n.Tell(t.Context(), consent.Notice{Service: "ssh", Qube: "work", Text: "log in"})
		synctest.Wait()
		if again := s.all(); len(again) != 1 || !strings.Contains(again[0], "was refused") {
			t.Errorf("after a pause: %q", again)
		}
		time.Sleep(noticePause)
	})
}

func TestNobodyToShowANoticeIsSaidAndNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, hook := logtest.NewNullLogger()
		n := NewNotices(func(context.Context, string, string) error { return errors.New("no desktop") }, log)
		ctx, cancel := context.WithCancel(t.Context())
		n.Tell(ctx, used("work", "log in"))
		synctest.Wait()
		if e := hook.LastEntry(); e == nil || e.Level != logrus.WarnLevel {
			t.Errorf("logged %v", e)
		}
		n.Tell(ctx, used("work", "log in"))
		cancel() // what is not shown yet never is, and nothing is left behind
	})
}
