package sshguard_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"

	"github.com/splitvault/splitvault/pkg/consent"
	"github.com/splitvault/splitvault/pkg/sshguard"
)

// person answers what it is told to, and writes down what it was asked.
type person struct {
	answer  consent.Answer
	err     error
	asked   chan consent.Request
	pending chan struct{} // if set, no answer before ctx ends; then it is closed
	broken  bool
}

func (p *person) Broken() bool { return p.broken }

func (p *person) Ask(ctx context.Context, r consent.Request) (consent.Answer, error) {
	p.asked <- r
	if p.pending != nil {
		<-ctx.Done()
		close(p.pending)
		return consent.Answer{}, ctx.Err()
	}
	return p.answer, p.err
}

func callAsking(tb testing.TB, p *person, v *vault, rule string) *client {
	tb.Helper()
	p.asked = make(chan consent.Request, 1)
	log, hook := logtest.NewNullLogger()
	log.SetLevel(logrus.DebugLevel)
	return serve(tb, &sshguard.Guard{Qube: "work", Rules: parseRules(tb, rule), Agents: []sshguard.Agent{v}, Log: log, Person: p}, hook)
}

const askAll = "[[ssh.rule]]\nqube = \"work\"\ndecision = \"ask\"\nremember = \"10m\"\n"

// Only a yes signs. Whatever else comes of a question is a no, told in words.
func TestOnlyAYesSigns(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		person person
		signs  bool
		words  string
	}{
		"yes, once":           {person{answer: consent.Answer{Reason: consent.Once}}, true, ""},
		"yes, for a while":    {person{answer: consent.Answer{Reason: consent.Lasting}}, true, ""},
		"by a grant":          {person{answer: consent.Answer{Reason: consent.Granted}}, true, ""},
		"no":                  {person{answer: consent.Answer{Reason: consent.Denied}}, false, string(consent.Denied)},
		"window closed":       {person{answer: consent.Answer{Reason: consent.Closed}}, false, string(consent.Closed)},
		"nothing":             {person{}, false, "not answered"},
		"yes, with an error":  {person{answer: consent.Answer{Reason: consent.Once}, err: errors.New("cut short")}, false, "cut short"},
		"no display":          {person{answer: consent.Answer{Reason: consent.NoDisplay}}, false, string(consent.NoDisplay)},
		"a word nobody knows": {person{answer: consent.Answer{Reason: "perhaps"}}, false, "perhaps"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := ed25519Key(t, "laptop key")
			v := newVault(t, k.AddedKey)
			c := callAsking(t, &row.person, v, askAll)
			data := k.login("session", nil)
			reply := c.ask(k.ask(t, data))
			if got := k.verified(reply, data) == nil; got != row.signs {
				t.Errorf("signs: %v", got)
			}
			if got := v.signed() > 0; got != row.signs {
				t.Errorf("reached the agent: %v", got)
			}
			if !strings.Contains(c.logged(), row.words) {
				t.Errorf("%q is not in\n%s", row.words, c.logged())
			}
		})
	}
}

// What is asked is what the vault knows; the client's words are quoted.
func TestTheQuestionTellsTheTruth(t *testing.T) {
	t.Parallel()
	k, evil := ed25519Key(t, "laptop key"), ed25519Key(t, "evil")
	p := &person{}
	c := callAsking(t, p, newVault(t, k.AddedKey), askAll)
	c.ask(evil.binding(t, "session", false))
	c.refused(k.ask(t, k.login("session", nil)))
	r := <-p.asked
	if err := r.Check(); err != nil {
		t.Error(err)
	}
	if r.Qube != "work" || r.Service != "ssh" || r.Remember != 10*time.Minute {
		t.Errorf("asked: %+v", r)
	}
	var text []string
	for _, l := range r.Lines {
		text = append(text, l.Text)
	}
	all := strings.Join(text, "\n")
	for _, want := range []string{"UNVERIFIED", `"git"`, "laptop key", k.fingerprint()} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is not in\n%s", want, all)
		}
	}
	if strings.Contains(all, evil.fingerprint()) {
		t.Errorf("the key that the client bound with is shown as the host's:\n%s", all)
	}
	if !slices.Contains(r.Subject, consent.Fact{Name: "key", Value: k.fingerprint()}) {
		t.Errorf("a grant would not be for this key alone: %+v", r.Subject)
	}
}

// A prompt of a client that is gone disappears within a second.
func TestAPromptEndsWithItsClient(t *testing.T) {
	t.Parallel()
	for name, hangUp := range map[string]func(*client) error{
		"closed":       func(c *client) error { return c.conn.Close() },
		"half-closed":  func(c *client) error { return c.conn.CloseWrite() },
		"in a message": func(c *client) error { c.send([]byte{0, 0}); return c.conn.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := ed25519Key(t, "key")
			v := newVault(t, k.AddedKey)
			p := &person{pending: make(chan struct{})}
			c := callAsking(t, p, v, askAll)
			c.send(k.ask(t, k.login("session", nil)).Bytes())
			<-p.asked
			began := time.Now()
			if err := hangUp(c); err != nil {
				t.Fatal(err)
			}
			<-p.pending
			if d := time.Since(began); d > 5*time.Second {
				t.Errorf("withdrawn after %v", d)
			}
			_ = c.end(5 * time.Second) // the answer may not have been taken
			if v.signed() != 0 {
				t.Error("signed")
			}
		})
	}
}

// Beyond its rate an allow becomes a question.
func TestBeyondTheRateAPersonIsAsked(t *testing.T) {
	t.Parallel()
	k := ed25519Key(t, "key")
	p := &person{answer: consent.Answer{Reason: consent.Once}}
	c := callAsking(t, p, newVault(t, k.AddedKey), allowAll+`rate = "1/h"`) // no counter: used up
	data := sshsig("git")
	if err := k.verified(c.ask(k.ask(t, data)), data); err != nil {
		t.Error(err)
	}
	if len(p.asked) != 1 {
		t.Error("nobody was asked")
	}
}
