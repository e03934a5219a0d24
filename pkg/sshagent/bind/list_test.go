package bind_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/splitvault/splitvault/pkg/sshagent"
	"github.com/splitvault/splitvault/pkg/sshagent/agenttest"
	"github.com/splitvault/splitvault/pkg/sshagent/bind"
)

// step is one binding of a sequence and whether it is accepted.
type step struct {
	host       host
	session    string
	forwarding bool
	bad        bool // with a wrong signature
	want       bool
}

func (s step) frame(tb testing.TB) sshagent.Frame {
	tb.Helper()
	b := s.host.binding(tb, s.session, s.forwarding)
	if s.bad {
		b.Signature = s.host.sign(tb, s.session+"x", "")
	}
	return frameOf(tb, b)
}

func sequences(tb testing.TB) map[string][]step {
	tb.Helper()
	a, b := ed25519Host(tb), ecdsaHost(tb)
	return map[string][]step{
		"one":                            {{a, "1", false, false, true}},
		"one, wrong":                     {{a, "1", false, true, false}},
		"wrong, then right":              {{a, "1", false, true, false}, {a, "1", false, false, true}},
		"a hop and a login":              {{a, "1", true, false, true}, {b, "2", false, false, true}},
		"nothing after a login":          {{a, "1", false, false, true}, {b, "2", false, false, false}, {b, "2", true, false, false}},
		"not even the same after it":     {{a, "1", false, false, true}, {a, "1", false, false, false}},
		"the same hop again":             {{a, "1", true, false, true}, {a, "1", true, false, true}, {b, "2", false, false, true}},
		"the same session not forwarded": {{a, "1", true, false, true}, {a, "1", false, false, true}, {b, "2", true, false, true}},
		"a session of two hosts":         {{a, "1", true, false, true}, {b, "1", true, false, false}, {b, "2", false, false, true}},
		"a host with two sessions":       {{a, "1", true, false, true}, {a, "2", true, false, true}, {a, "3", false, false, true}},
		"a wrong one between":            {{a, "1", true, false, true}, {b, "2", false, true, false}, {b, "3", false, false, true}},
	}
}

func TestListRules(t *testing.T) {
	t.Parallel()
	for name, steps := range sequences(t) {
		var l bind.List
		if l.Attempted() || l.Forwarded() || len(l.Frames()) != 0 {
			t.Fatal("zero list is not empty")
		}
		for i, s := range steps {
			answer := l.Add(s.frame(t))
			want := sshagent.TypeExtensionFailure
			if s.want {
				want = sshagent.TypeSuccess
			}
			if answer.Type() != want || len(answer.Body()) != 0 {
				t.Errorf("%s, step %d: got %v", name, i+1, answer.Type())
			}
			if !l.Attempted() {
				t.Errorf("%s, step %d: not attempted", name, i+1)
			}
		}
		l.Reset()
		if l.Attempted() || l.Forwarded() || len(l.Frames()) != 0 {
			t.Errorf("%s: not empty after a reset", name)
		}
	}
}

// The same sequences in OpenSSH's agent.
func TestListRulesAreThoseOfTheRealAgent(t *testing.T) {
	t.Parallel()
	a := agenttest.Start(t)
	for name, steps := range sequences(t) {
		conn := a.Dial(t)
		for i, s := range steps {
			answer := conn.Ask(t, s.frame(t))
			if got := answer.Type() == sshagent.TypeSuccess; got != s.want {
				t.Errorf("%s, step %d: ssh-agent answers %v", name, i+1, answer.Type())
			}
		}
	}
}

func TestSeventeenthBindingIsRefused(t *testing.T) {
	t.Parallel()
	var l bind.List
	h := ed25519Host(t)
	for i := range sshagent.MaxBindings {
		if answer := l.Add(h.frame(t, fmt.Sprint(i), true)); answer.Type() != sshagent.TypeSuccess {
			t.Fatalf("binding %d: %v", i+1, answer.Type())
		}
	}
	if answer := l.Add(h.frame(t, "one more", false)); answer.Type() != sshagent.TypeExtensionFailure {
		t.Errorf("got %v", answer.Type())
	}
	if answer := l.Add(h.frame(t, "0", true)); answer.Type() != sshagent.TypeSuccess {
		t.Errorf("one that is there: got %v", answer.Type())
	}
	if n := len(l.Frames()); n != sshagent.MaxBindings {
		t.Errorf("%d recorded", n)
	}
}

func TestFramesAreTheAcceptedOnesInOrder(t *testing.T) {
	t.Parallel()
	var l bind.List
	a, b := ed25519Host(t), ed25519Host(t)
	first, second := a.frame(t, "1", true), b.frame(t, "2", false)
	for _, f := range []sshagent.Frame{first, first, b.frame(t, "1", true), step{b, "2", false, true, false}.frame(t), second, a.frame(t, "3", false)} {
		l.Add(f)
	}
	frames := l.Frames()
	if len(frames) != 2 || !bytes.Equal(frames[0].Bytes(), first.Bytes()) || !bytes.Equal(frames[1].Bytes(), second.Bytes()) {
		t.Errorf("got %d frames", len(frames))
	}
}

func TestOtherMessagesAreNoBindings(t *testing.T) {
	t.Parallel()
	var l bind.List
	for name, message := range map[string][]byte{
		"list": {11}, "query": append([]byte{27}, agenttest.Strings(sshagent.ExtensionQuery)...),
		"look-alike": append([]byte{27}, agenttest.Strings("session-bind@openssh.org", "k", "s", "s\x00")...),
	} {
		if answer := l.Add(agenttest.Frame(t, message)); answer.Type() != sshagent.TypeFailure {
			t.Errorf("%s: got %v", name, answer.Type())
		}
	}
	if answer := l.Add(sshagent.Frame{}); answer.Type() != sshagent.TypeFailure || l.Attempted() || l.Forwarded() {
		t.Errorf("zero frame: got %v", answer.Type())
	}
}

func TestMalformedBindingCountsAsAForwardedAttempt(t *testing.T) {
	t.Parallel()
	var l bind.List
	f := agenttest.Frame(t, append([]byte{27}, agenttest.Strings(sshagent.ExtensionBind, "key")...))
	if answer := l.Add(f); answer.Type() != sshagent.TypeExtensionFailure || !l.Attempted() || !l.Forwarded() {
		t.Errorf("got %v, attempted %v, forwarded %v", answer.Type(), l.Attempted(), l.Forwarded())
	}
}

func TestDestinationForTheListIsTheVerifiedLastHost(t *testing.T) {
	t.Parallel()
	a, b := ed25519Host(t), ed25519Host(t)
	for _, test := range []struct {
		name   string
		frames []sshagent.Frame
		want   []byte
	}{
		{"nothing", nil, nil},
		{"bound", []sshagent.Frame{a.frame(t, "1", false)}, a.blob},
		{"forwarding only", []sshagent.Frame{a.frame(t, "1", true)}, nil},
		{"forwarded and bound", []sshagent.Frame{a.frame(t, "1", true), b.frame(t, "2", false)}, b.blob},
		{"unverified", []sshagent.Frame{frameOf(t, opaque("1"))}, nil},
		{"wrong signature", []sshagent.Frame{step{a, "1", false, true, false}.frame(t)}, nil},
	} {
		var l bind.List
		for _, f := range test.frames {
			l.Add(f)
		}
		if got := l.Destination(); !bytes.Equal(got, test.want) {
			t.Errorf("%s: got %q", test.name, got)
		}
	}
}
