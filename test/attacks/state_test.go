package attacks

import (
	"crypto/ed25519"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/splitvault/splitvault/test/qubes/bench"
)

// attacks are all of them, in the order of their numbers. Those that need a
// person at a prompt are not among them.
func attacks() []attack {
	return []attack{
		{"A1-kill-the-agent-with-five-bytes", (*world).killAgent},
		{"A2-load-a-library-into-the-vault", (*world).loadLibrary},
		{"A2-start-a-helper-by-a-security-key", (*world).startHelper},
		{"A3-unknown-agent-extensions", (*world).extensions},
		{"A4-wipe-the-keys", (*world).wipe},
		{"A5-lock-the-agent", (*world).lock},
		{"A6-replace-a-private-key", (*world).replaceKey},
		{"A7-inject-a-key", (*world).injectKey},
		{"A7-inject-a-key-into-gpg-agent", (*world).injectKeyGPG},
		{"A8-sign-what-is-no-login", (*world).signAnything},
		{"A9-forge-the-destination", (*world).forgeDestination},
		{"A10-tire-the-person-with-prompts", (*world).promptFlood},
		{"A11-freeze-everyone-with-one-prompt", (*world).freeze},
		{"A11-freeze-everyone-with-a-key-that-is-allowed", (*world).confirmFreeze},
		{"A12-hold-connections", (*world).holdConnections},
		{"A13-huge-messages", (*world).hugeMessages},
		{"A13-huge-messages-to-gpg-agent", (*world).hugeMessagesGPG},
		{"A14-half-a-header-then-silence", (*world).halfHeader},
		{"A15-read-comments-and-foreign-keys", (*world).deanonymise},
		{"A16-weak-signature", (*world).weakSignature},
		{"A19-hostile-vault", (*world).hostileVault},
		{"every-message-type", (*world).everyType},
		{"recorded-clients-and-foreign-keys", (*world).recorded},
	}
}

// killAgent: an OpenSSH agent takes a LOCK that it cannot parse for fatal, and
// all its keys are gone with it.
func (w *world) killAgent(t *testing.T) {
	poison := message(lock)
	fresh := func() { w.agent(t) }
	w.control(t, fresh, func(t *testing.T) {
		raw().dial(t, w.work).send(poison)
		effect(t, w.becomes(t, "Error connecting to agent"), "the agent lives: %s", w.keys(t))
	})
	w.through(t, fresh, func(t *testing.T, way way) {
		way.dial(t, w.work).refused(t, poison)
	})
}

// becomes waits until the vault's ssh-add says a text.
func (w *world) becomes(t *testing.T, text string) bool {
	t.Helper()
	for range 100 {
		if strings.Contains(w.keys(t), text) {
			return true
		}
		time.Sleep(20 * time.Millisecond)
	}
	return false
}

// wipe: three messages remove keys; a filter that knows only the one of today's
// protocol is got around by that of SSH 1.
func (w *world) wipe(t *testing.T) {
	wipes := map[string][]byte{
		"remove-identity": message(removeIdentity, str(public(t, w.key).Marshal())),
		"remove-all":      message(removeAll),
		"remove-all-ssh1": message(removeAllSSH1),
	}
	fresh := func() { w.agent(t) }
	for name, wipe := range wipes {
		fresh()
		t.Run("raw-relay-"+name, func(t *testing.T) {
			raw().dial(t, w.work).ask(t, wipe)
			effect(t, w.keys(t) == "The agent has no identities.", "the agent says %s", w.keys(t))
		})
	}
	w.through(t, fresh, func(t *testing.T, way way) {
		for _, wipe := range wipes {
			way.dial(t, w.work).refused(t, wipe)
		}
	})
}

// lock: who locks the agent with a passphrase of his own has it to himself.
func (w *world) lock(t *testing.T) {
	mine := message(lock, str("mine"))
	fresh := func() { w.agent(t) }
	w.control(t, fresh, func(t *testing.T) {
		raw().dial(t, w.work).ask(t, mine)
		effect(t, w.keys(t) == "The agent has no identities.", "the agent says %s", w.keys(t))
	})
	w.through(t, fresh, func(t *testing.T, way way) {
		way.dial(t, w.work).refused(t, mine)
	})
}

// replaceKey: an agent lets a key be added again, with another private half:
// from then on all its signatures are void.
func (w *world) replaceKey(t *testing.T) {
	_, other, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	key := w.key.Public().(ed25519.PublicKey)
	private := concat(other.Seed(), key)
	replace := message(addIdentity, str("ssh-ed25519"), str([]byte(key)), str(private), str("free"))
	fresh := func() { w.agent(t) }
	w.control(t, fresh, func(t *testing.T) {
		raw().dial(t, w.work).ask(t, replace)
		answer := raw().dial(t, w.work).ask(t, signRequest(public(t, w.key), fileSignature(), 0))
		_, ok := signed(public(t, w.key), fileSignature(), answer)
		effect(t, answer[0] == signAnswer && !ok, "the agent answers %.20x, valid: %v", answer, ok)
	})
	w.through(t, fresh, func(t *testing.T, way way) {
		way.dial(t, w.work).refused(t, replace)
		answer := way.dial(t, w.work).ask(t, signRequest(public(t, w.key), fileSignature(), 0))
		if _, ok := signed(public(t, w.key), fileSignature(), answer); !ok {
			t.Errorf("no valid signature any more: %.20x", answer)
		}
	})
}

// injectKey: other qubes would offer the attacker's key to their servers.
func (w *world) injectKey(t *testing.T) {
	_, mine, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	key := mine.Public().(ed25519.PublicKey)
	add := [][]byte{
		message(addIdentity, str("ssh-ed25519"), str([]byte(key)), str([]byte(mine)), str("free")),
		message(addConstrained, str("ssh-ed25519"), str([]byte(key)), str([]byte(mine)), str("free"), []byte{1}, u32(3600)),
	}
	fresh := func() { w.agent(t) }
	for _, m := range add {
		w.control(t, fresh, func(t *testing.T) {
			raw().dial(t, w.work).ask(t, m)
			seen := w.listed(t, raw(), w.other)
			effect(t, strings.Contains(seen, string(public(t, mine).Marshal())), "another qube sees %q", seen)
		})
	}
	w.through(t, fresh, func(t *testing.T, way way) {
		for _, m := range add {
			way.dial(t, w.work).refused(t, m)
		}
		if strings.Contains(w.listed(t, way, w.other), string(public(t, mine).Marshal())) {
			t.Error("another qube sees the attacker's key")
		}
	})
}

// listed is the body of a qube's list of keys.
func (w *world) listed(t *testing.T, way way, q *bench.Qube) string {
	t.Helper()
	answer := way.dial(t, q).ask(t, message(list))
	if answer[0] != listAnswer {
		t.Errorf("listing by %s: answer %d", way.name, answer[0])
	}
	return string(answer)
}

// deanonymise: comments name people and machines, and the same foreign keys seen
// from two qubes tie these together.
func (w *world) deanonymise(t *testing.T) {
	_, foreign, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	fresh := func() {
		w.agent(t)
		w.add(t, foreign, "alice@laptop")
		w.rules(t, strings.ReplaceAll(openRules, "comment:free", ssh.FingerprintSHA256(public(t, w.key))))
	}
	blob := string(public(t, foreign).Marshal())
	w.control(t, fresh, func(t *testing.T) {
		seen := w.listed(t, raw(), w.work)
		effect(t, strings.Contains(seen, "alice@laptop") && strings.Contains(seen, blob), "the list is %q", seen)
	})
	w.through(t, fresh, func(t *testing.T, way way) {
		seen := w.listed(t, way, w.work)
		if strings.Contains(seen, "alice@laptop") || strings.Contains(seen, "free") || strings.Contains(seen, blob) {
			t.Errorf("the list is %q", seen)
		}
		way.dial(t, w.work).refused(t, signRequest(public(t, foreign), fileSignature(), 0))
	})
}
