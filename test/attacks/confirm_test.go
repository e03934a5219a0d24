package attacks

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/splitvault/splitvault/test/baseline"
)

// refuser is the prompt of a person who says no as soon as they have read it.
const refuser = `#!/bin/sh
echo asked >>` + evidence + `/asked
sleep 2.2
exit 1
`

const (
	confirms   = 4                     // that the attacker asks for at once
	ownRules   = openRules + cardRules // and an agent apart
	cardRules  = "\n[[ssh.rule]]\nqube = \"*\"\nagent = \"card\"\ndecision = \"allow\"\n"
	cardSocket = "/run/user/1000/card.sock"
)

// confirmFreeze: a key that the rules allow, and that waits for a person in the agent
// (ssh-add -c; a security key does the same). Each request stays in the agent's queue
// and holds up everybody, one after the other.
func (w *world) confirmFreeze(t *testing.T) {
	_, touchy, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	request := signRequest(public(t, touchy), fileSignature(), 0)
	with := func(askpass string) func() {
		return func() {
			w.forget(t)
			must(t, baseline.Put(t.Context(), w.vault, map[string][]byte{"/usr/local/bin/asker": []byte(askpass)}))
			w.agent(t, "--setenv=SSH_ASKPASS=/usr/local/bin/asker", "--setenv=SSH_ASKPASS_REQUIRE=force", "--setenv=DISPLAY=:0")
			w.add(t, touchy, "free", "-c")
		}
	}
	flood := func(t *testing.T, way way) {
		for range confirms {
			way.dial(t, w.work).send(request)
		}
		if w.prompt(t, 10*time.Second) == "" {
			t.Fatal("nobody is asked")
		}
	}
	w.control(t, with(refuser), func(t *testing.T) {
		flood(t, raw())
		_, err := raw().dial(t, w.other).send(message(list)).answer(4 * time.Second)
		effect(t, errors.Is(err, errSilent), "another qube is served between the questions: %v", err)
		w.asked(t, confirms)
	})
	w.through(t, with(refuser), func(t *testing.T, way way) {
		flood(t, way)
		for range 3 { // behind one question at most
			if answer, err := way.dial(t, w.other).send(message(list)).answer(10 * time.Second); err != nil || answer[0] != listAnswer {
				t.Errorf("another qube is not served: %v, %.20x", err, answer)
			}
		}
		w.asked(t, 3)
		time.Sleep(3 * time.Second) // as long as one more question would take to show
		w.asked(t, 3)
		w.forget(t) // five minutes pass
	})
	w.personIsAway(t, with(strings.Replace(askpass, "echo $$ >", "echo asked >>", 1)), request)
}

// personIsAway: the question stays. What OpenSSH does not force stays usable: other
// agents are served at once, and who asks this one is told in seconds.
func (w *world) personIsAway(t *testing.T, fresh func(), request []byte) {
	fresh()
	t.Run("raw-relay-and-nobody-there", func(t *testing.T) {
		raw().dial(t, w.work).send(request)
		effect(t, w.prompt(t, 5*time.Second) != "", "nobody is asked")
		_, err := raw().dial(t, w.other).send(message(list)).answer(6 * time.Second)
		effect(t, errors.Is(err, errSilent), "another qube is answered: %v", err)
	})
	fresh()
	t.Run("splitvault-and-nobody-there", func(t *testing.T) {
		w.rules(t, strings.Replace(ownRules, "[ssh.agents]\n", "[ssh.agents]\ncard = \"%t/card.sock\"\n", 1))
		w.card(t)
		past := ours()[1]
		for range confirms {
			past.dial(t, w.work).send(request)
		}
		if w.prompt(t, 10*time.Second) == "" {
			t.Fatal("nobody is asked")
		}
		card := way{"card", []string{"qrexec-client-vm", "@default", "qubes.Ssh+card"}}
		if answer, err := card.dial(t, w.other).send(message(list)).answer(4 * time.Second); err != nil || answer[0] != listAnswer {
			t.Errorf("another agent is not served: %v, %.20x", err, answer)
		}
		answer, err := past.dial(t, w.other).send(message(list)).answer(15 * time.Second)
		if err != nil && !errors.Is(err, errClosed) || err == nil && answer[0] != failure {
			t.Errorf("another qube is not told that the agent does not answer: %v, %.20x", err, answer)
		}
		w.asked(t, 1)
		if _, err := w.vault.User(t.Context(), "systemctl --user stop card.service; rm -f "+cardSocket); err != nil {
			t.Error(err)
		}
	})
	w.forget(t)
	w.agent(t)
	w.check(t)
}

// card starts a second agent in the vault.
func (w *world) card(t *testing.T) {
	t.Helper()
	if _, err := w.vault.User(t.Context(), "systemd-run --user --quiet --collect --unit=card ssh-agent -D -a "+cardSocket); err != nil {
		t.Fatal(err)
	}
	w.listens(t, cardSocket)
}

// asked checks how many questions the agent has put so far.
func (w *world) asked(t *testing.T, want int) {
	t.Helper()
	count := func() int { return strings.Count(w.prompt(t, 0), "asked") }
	for deadline := time.Now().Add(20 * time.Second); count() < want && time.Now().Before(deadline); {
		time.Sleep(50 * time.Millisecond)
	}
	if got := count(); got != want {
		t.Errorf("%d questions, want %d", got, want)
	}
}

// forget makes the vault forget what was asked, and whom it no longer asks.
func (w *world) forget(t *testing.T) {
	t.Helper()
	if _, err := w.vault.User(t.Context(), fmt.Sprintf("rm -rf %s /run/user/1000/splitvault/turns && mkdir %[1]s", evidence)); err != nil {
		t.Fatal(err)
	}
}
