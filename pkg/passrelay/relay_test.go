package passrelay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/splitvault/splitvault/pkg/passcode"
	"github.com/splitvault/splitvault/pkg/passproto"
	"github.com/splitvault/splitvault/pkg/secret"
)

// served is a client with a relay and a fake vault.
type served struct {
	client net.Conn
	gone   chan struct{}
	relay  *Relay
	result chan error

	mu     sync.Mutex
	asked  []string
	failed []error
}

func serve(ctx context.Context, do func(ctx context.Context, r passproto.Request, out *secret.Buffer) error) *served {
	ours, theirs := net.Pipe()
	s := &served{client: theirs, gone: make(chan struct{}), result: make(chan error, 1)}
	s.relay = &Relay{
		Client: ours, Gone: s.gone,
		Do: func(ctx context.Context, r passproto.Request, body []byte, out *secret.Buffer) error {
			s.mu.Lock()
			s.asked = append(s.asked, strings.TrimSpace(r.String()+" "+string(body)))
			s.mu.Unlock()
			return do(ctx, r, out)
		},
		Failed: func(_ passproto.Request, err error) { s.failed = append(s.failed, err) },
	}
	go func() { s.result <- s.relay.Serve(ctx) }()
	return s
}

// say sends text, ends the input, and returns all that is answered.
func (s *served) say(text string) string {
	go func() { _, _ = io.WriteString(s.client, text) }()
	answer := make(chan string, 1)
	go func() {
		all, _ := io.ReadAll(s.client)
		answer <- string(all)
	}()
	synctest.Wait()
	// net.Pipe has no half-close: the client is silent, and dropped for that.
	return <-answer
}

func echo(_ context.Context, r passproto.Request, out *secret.Buffer) error {
	if strings.HasPrefix(string(r.Name), "no") {
		return &passproto.Error{Code: passcode.NotFound, Text: "no such entry"}
	}
	_, err := fmt.Fprintf(out, "<%s>", r.Name)
	return err
}

func TestRequestsAreAnsweredInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t.Context(), echo)
		got := s.say("PING\nGET a\nGET nothing\nINSERT b 7\nPING\nx\nFIELD c login\nLIST\n")
		want := "OK 0\nOK 3\n<a>ERR 10 not-found no such entry\nOK 3\n<b>OK 3\n<c>OK 2\n<>"
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if err := <-s.result; !errors.Is(err, errIdle) {
			t.Errorf("ended with %v", err)
		}
		if asked := strings.Join(s.asked, "|"); asked != "GET a|GET nothing|INSERT b 7 PING\nx|FIELD c login|LIST" {
			t.Errorf("asked for %q", asked)
		}
		if s.relay.Stats.Requests != 6 || s.relay.Stats.Failed != 1 || len(s.failed) != 1 || s.relay.Stats.BytesOut != len(want) {
			t.Errorf("counted %+v", s.relay.Stats)
		}
	})
}

func TestAfterABadRequestTheNextIsServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t.Context(), echo)
		got := s.say("DELETE a\nGET ../a\n\nGET a\n")
		if strings.Count(got, "ERR 2 bad-request ") != 3 || !strings.HasSuffix(got, "OK 3\n<a>") {
			t.Errorf("got %q", got)
		}
		<-s.result
	})
}

// What follows them may look like a request, and is none.
func TestAttackNothingIsReadAfterWhatCannotBeSkipped(t *testing.T) {
	for _, first := range []string{
		"INSERT ../a 7\n", "INSERT a 1048577\n", "INSERT a -1\n", "INSERT a\n", "INSERT\n", "GET " + strings.Repeat("a", 5000) + "\n",
	} {
		synctest.Test(t, func(t *testing.T) {
			s := serve(t.Context(), echo)
			if got := s.say(first + "GET a\n"); !strings.HasPrefix(got, "ERR 2 bad-request ") || strings.Count(got, "\n") != 1 {
				t.Errorf("%.20q: got %q", first, got)
			}
			<-s.result
			if len(s.asked) != 0 {
				t.Errorf("%.20q: asked for %q", first, s.asked)
			}
		})
	}
}

func TestAttackASilentOrSlowClientIsDropped(t *testing.T) {
	for _, said := range []string{"", "GET a", "INSERT a 100\nhalf"} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			s := serve(t.Context(), echo)
			if got := s.say(said); got != "" {
				t.Errorf("%q: got %q", said, got)
			}
			if err := <-s.result; err == nil || time.Since(start) > 3*clientTime {
				t.Errorf("%q: %v after %v", said, err, time.Since(start))
			}
			if len(s.asked) != 0 {
				t.Errorf("%q: asked for %q", said, s.asked)
			}
		})
	}
}

// A person may read a prompt for longer than clients may be silent.
func TestTheVaultMayTakeItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t.Context(), func(ctx context.Context, r passproto.Request, out *secret.Buffer) error {
			time.Sleep(10 * time.Minute)
			return echo(ctx, r, out)
		})
		if got := s.say("GET a\nGET b\n"); got != "OK 3\n<a>OK 3\n<b>" {
			t.Errorf("got %q", got)
		}
		<-s.result
	})
}

func TestWhatGoesOnEndsWhenTheClientHasGone(t *testing.T) {
	for name, end := range map[string]func(s *served, cancel func()){
		"the client is gone":   func(s *served, _ func()) { close(s.gone) },
		"the relay is stopped": func(_ *served, cancel func()) { cancel() },
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			s := serve(ctx, func(ctx context.Context, _ passproto.Request, _ *secret.Buffer) error {
				<-ctx.Done()
				return ctx.Err()
			})
			go func() { _, _ = io.WriteString(s.client, "GET a\nGET b\n") }()
			synctest.Wait()
			end(s, cancel)
			if got, _ := io.ReadAll(s.client); len(got) != 0 {
				t.Errorf("%s: got %q", name, got)
			}
			if err := <-s.result; err != nil || len(s.asked) != 1 {
				t.Errorf("%s: %v, asked for %q", name, err, s.asked)
			}
		})
	}
}

func TestHello(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t.Context(), echo)
		if got := s.say("HELLO 1\nHELLO 2\n"); !strings.HasPrefix(got, "OK ") || !strings.Contains(got, "splitvault ") ||
			!strings.Contains(got, `ERR 2 bad-request HELLO: version "2", want 1`) {
			t.Errorf("got %q", got)
		}
		<-s.result
	})
}
