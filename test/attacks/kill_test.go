package attacks

import (
	"strings"
	"testing"
	"time"

	"github.com/splitvault/splitvault/test/baseline"
	"github.com/splitvault/splitvault/test/qubes/bench"
	"github.com/splitvault/splitvault/test/qubes/bench/roots"
)

// process is one of those that a question and its answer go through.
type process struct {
	name  string
	vault bool   // in the vault, else in the client qube
	kill  string // as the user there
}

func processes() []process {
	return []process{
		{"relay", false, "pkill -KILL -x ssh-relay"},
		{"qrexec-client", false, "pkill -KILL -x qrexec-client-v"},
		{"guard", true, "pkill -KILL -x qubes.Ssh"},
		{"consentd", true, "systemctl --user kill -s KILL splitvault-consent.service"},
		{"prompter", true, "pkill -KILL -x zenity"},
		{"agent", true, "systemctl --user kill -s KILL agent.service"},
	}
}

// step is how far a use has come when a process is killed. Its prepare brings it
// there, and returns what lets it go on.
type step struct {
	name    string
	yes     bool // the person has said yes
	prepare func(k *kills, t *testing.T, l *line) (goOn func())
}

func steps() []step {
	return []step{
		{"before-the-prompt", false, func(k *kills, t *testing.T, l *line) func() {
			return func() { l.send(k.request) }
		}},
		{"prompt-open", false, func(k *kills, t *testing.T, l *line) func() {
			l.send(k.request)
			k.window(t, true)
			return func() {}
		}},
		{"answered", true, func(k *kills, t *testing.T, l *line) func() {
			l.send(k.request)
			k.window(t, true)
			return k.answer(t, "pkill -STOP -x qubes.Ssh", "pkill -CONT -x qubes.Ssh || true")
		}},
		{"signing", true, func(k *kills, t *testing.T, l *line) func() {
			l.send(k.request)
			k.window(t, true)
			return k.answer(t, "systemctl --user kill -s STOP agent.service", "systemctl --user kill -s CONT agent.service || true")
		}},
	}
}

type kills struct {
	*world
	data, request []byte
	yes, signed   int
}

// TestKillAnythingAtAnyTime kills each process at each step of a use that a person is
// asked about. What was not answered yes is not signed, a yes is for one signature at
// most, and the next use is asked about again.
func TestKillAnythingAtAnyTime(t *testing.T) {
	kit := bench.Prepare(t)
	sender, err := baseline.Program(t.Context(), "test/attacks/sender")
	must(t, err)
	for _, suite := range roots.Suites() {
		t.Run(suite, func(t *testing.T) {
			t.Parallel()
			k := &kills{world: newWorld(t, kit, suite, sender), data: fileSignature()}
			k.request = signRequest(public(t, k.key), k.data, 0)
			k.screen(t)
			k.fresh(t)
			for _, s := range steps() {
				for _, p := range processes() {
					if p.name == "prompter" && s.name != "prompt-open" {
						continue // there is none
					}
					t.Run(s.name+"/"+p.name, func(t *testing.T) { k.cell(t, s, p) })
				}
			}
			k.trail(t)
			k.noScreen(t)
		})
	}
}

// fresh is an agent with the key, whose use is asked about.
func (k *kills) fresh(t *testing.T) {
	t.Helper()
	k.agent(t)
	k.rules(t, promptRules)
}

func (k *kills) cell(t *testing.T, s step, p process) {
	l := ours()[0].dial(t, k.work)
	if answer := l.ask(t, message(list)); answer[0] != listAnswer {
		t.Fatalf("the list is answered by %d", answer[0])
	}
	goOn := s.prepare(k, t, l)
	if s.yes {
		k.yes++
	}
	q := k.work
	if p.vault {
		q = k.vault
	}
	_, errKill := q.User(t.Context(), p.kill)
	goOn()
	if errKill != nil {
		t.Errorf("there is none to kill: %v", errKill)
	}
	// An answer comes, the end, or, where a new call was made, a new prompt.
	answer, err := l.answer(1500 * time.Millisecond)
	_, signature := signed(public(t, k.key), k.data, answer)
	switch {
	case signature && !s.yes:
		t.Error("signed without a yes")
	case signature:
		k.signed++
	case err == nil && (len(answer) != 1 || answer[0] != failure):
		t.Errorf("answered by %.20x", answer)
	}
	l.close()
	k.window(t, false)
	if p.name == "agent" {
		k.fresh(t)
	}
	k.askedAgain(t)
}

// askedAgain checks that an equal use is asked about, and goes with its client.
func (k *kills) askedAgain(t *testing.T) {
	t.Helper()
	l := ours()[0].dial(t, k.work).send(k.request)
	k.window(t, true)
	if answer, err := l.answer(100 * time.Millisecond); err == nil {
		t.Errorf("answered unasked by %.20x", answer)
	}
	l.close()
	k.window(t, false)
}

// window waits for the prompt to be there, or to be gone.
func (k *kills) window(t *testing.T, there bool) {
	t.Helper()
	search := `DISPLAY=:7 xdotool search --onlyvisible --name "splitvault: work asks" >/dev/null`
	if !there {
		search = "! " + search
	}
	if _, err := k.vault.User(t.Context(), "for try in $(seq 300); do if "+search+"; then exit 0; fi; sleep 0.03; done; exit 1"); err != nil {
		t.Fatalf("a prompt is there: want %v: %v", there, err)
	}
}

// answer says yes while something is stopped, and returns what lets that go on.
func (k *kills) answer(t *testing.T, stop, goOn string) func() {
	t.Helper()
	if _, err := k.vault.User(t.Context(), stop+"; sleep 1; DISPLAY=:7 xdotool key --delay 60 Tab Return"); err != nil {
		t.Fatal(err)
	}
	k.window(t, false)
	return func() {
		if _, err := k.vault.User(t.Context(), goOn); err != nil {
			t.Error(err)
		}
	}
}

// trail checks that the vault's own record has no signature too many.
func (k *kills) trail(t *testing.T) {
	t.Helper()
	out, err := k.vault.User(t.Context(), "splitvault log --qube work --json")
	must(t, err)
	recorded := strings.Count(out, `"message":"signed"`)
	if recorded < k.signed || recorded > k.yes || k.yes == 0 || k.signed == 0 {
		t.Errorf("%d times yes, %d signatures recorded, %d came through", k.yes, recorded, k.signed)
	}
}
