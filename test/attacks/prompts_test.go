package attacks

import (
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/splitvault/splitvault/test/baseline"
)

// promptRules ask about the attacker's qube, and let the other one work.
const promptRules = `
[ssh.agents]
default = "%t/agent.sock"

[[ssh.rule]]
qube = "other"
decision = "allow"

[[ssh.rule]]
qube = "work"
decision = "ask"
`

// naysayer is a person who closes every window as soon as it is there, and counts.
const naysayer = `#!/bin/sh
export DISPLAY=:7
while sleep 0.2; do
	if xdotool search --onlyvisible --name "splitvault: work asks" >/dev/null; then
		xdotool search --onlyvisible --name "splitvault: " | wc -l >>` + evidence + `/windows
		echo asked >>` + evidence + `/asked
		xdotool key Escape
		while xdotool search --onlyvisible --name "splitvault: work asks" >/dev/null; do sleep 0.05; done
	fi
done
`

// promptFlood: whoever may ask for a prompt asks for many, until the person says yes
// to have an end of it. OpenSSH's agent asks again for each.
func (w *world) promptFlood(t *testing.T) {
	const flood = 12
	_, touchy, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	must(t, baseline.Put(t.Context(), w.vault, map[string][]byte{
		"/usr/local/bin/asker":    []byte("#!/bin/sh\necho asked >>" + evidence + "/asked\nexit 1\n"),
		"/usr/local/bin/naysayer": []byte(naysayer),
	}))
	fresh := func() {
		w.forget(t)
		w.agent(t, "--setenv=SSH_ASKPASS=/usr/local/bin/asker", "--setenv=SSH_ASKPASS_REQUIRE=force", "--setenv=DISPLAY=:0")
		w.add(t, touchy, "touchy", "-c")
	}
	// Each for another purpose, so that none of them is the same question.
	ask := func(t *testing.T, way way, key ed25519.PrivateKey) {
		for n := range flood {
			data := strings.Replace(string(fileSignature()), string(str("file")), string(str(fmt.Sprintf("f%03d", n))), 1)
			way.dial(t, w.work).send(signRequest(public(t, key), []byte(data), 0))
		}
	}
	w.control(t, fresh, func(t *testing.T) {
		ask(t, raw(), touchy)
		w.asked(t, flood)
	})
	w.screen(t)
	if _, err := w.vault.User(t.Context(), "systemd-run --user --quiet --collect --unit=naysayer naysayer"); err != nil {
		t.Fatal(err)
	}
	for _, way := range ours() {
		fresh()
		w.rules(t, promptRules)
		t.Run("splitvault-by-"+way.name, func(t *testing.T) {
			ask(t, way, w.key)
			w.asked(t, 3)
			// More of the same brings no window, and the other qube works on.
			ask(t, way, w.key)
			if answer, err := way.dial(t, w.other).send(signRequest(public(t, w.key), fileSignature(), 0)).answer(10 * time.Second); err != nil || answer[0] != signAnswer {
				t.Errorf("the other qube's signature: %v, %.20x", err, answer)
			}
			time.Sleep(2 * time.Second) // as long as a window would take to show
			w.asked(t, 3)
			if most, err := w.vault.User(t.Context(), "sort -n "+evidence+"/windows | tail -n1"); err != nil || strings.TrimSpace(most) != "1" {
				t.Errorf("%q windows at once, %v", most, err)
			}
			if out, err := w.vault.User(t.Context(), "splitvault grants"); err != nil || !strings.Contains(out, "work: silenced after three denials") {
				t.Errorf("splitvault grants: %q, %v", out, err)
			}
			if _, err := w.vault.User(t.Context(), "splitvault pause --end"); err != nil {
				t.Error(err)
			}
		})
	}
	w.noScreen(t)
	w.forget(t)
	w.agent(t)
	w.check(t)
}

// screen gives the vault a display.
func (w *world) screen(t *testing.T) {
	t.Helper()
	if _, err := w.vault.User(t.Context(), `systemd-run --user --quiet --collect --unit=screen Xvfb :7 -noreset -screen 0 1024x768x24
until DISPLAY=:7 xdotool getmouselocation >/dev/null 2>&1; do sleep 0.05; done
systemctl --user set-environment DISPLAY=:7`); err != nil {
		t.Fatal(err)
	}
}

func (w *world) noScreen(t *testing.T) {
	t.Helper()
	if _, err := w.vault.User(t.Context(), "systemctl --user unset-environment DISPLAY; systemctl --user stop naysayer.service screen.service splitvault-consent.service 2>/dev/null || true"); err != nil {
		t.Error(err)
	}
}
