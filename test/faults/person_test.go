package faults

import (
	"fmt"
	"strings"
	"time"
)

// personFaults are those of what asks a person, while it does.
func personFaults() []fault {
	kill := func(name string) func(c *cell) { return func(c *cell) { c.onVault("pkill -KILL -x " + name) } }
	hang := func(c *cell) { c.onVault("pkill -STOP -x consentd") }
	stop := func(c *cell) { c.onVault("pkill -STOP -x zenity") }
	unanswered := `nobody answered the prompt in time`
	denied := bad(noAgent, `4001.*User denied: (nobody c(an|ould) be asked in the vault|the program that asks failed)`, `refused in the vault`, ``)
	return []fault{
		{name: "kill-consentd-asking", stage: asking, during: kill("consentd"), want: denied},
		{name: "kill-prompter-asking", stage: asking, during: kill("zenity"), want: denied},
		{name: "prompter-hangs-asking", within: 90 * time.Second, stage: asking, during: stop, after: noPrompter(0), want: bad(noAgent, `4001.*`+unanswered, `refused in the vault`, unanswered)},
		{name: "prompter-hangs-and-client-gives-up", patience: "timeout -s KILL 3", stage: asking, during: stop, after: noPrompter(40 * time.Second), want: bad(``, ``, ``, `the client is gone`)},
		{name: "consentd-hangs-asking", within: 60 * time.Second, stage: asking, during: hang, want: denied},
		{name: "consentd-hangs", before: func(c *cell) {
			c.callPerson()
			c.onVault("systemctl --user start splitvault-consent")
			hang(c)
		}, after: func(c *cell) { c.sendAway() }, want: denied},
		// The guard ends its call with consentd, so that the next request makes another.
		{
			name: "kill-consentd-connection-open", only: []string{"ssh"}, within: 50 * time.Second, stage: holding, patience: heldOpen(4),
			before: func(c *cell) { c.callGranting() },
			during: func(c *cell) {
				c.onVault("pkill -KILL -x consentd; sleep 1.5")
				c.onWork("printf '\\n\\n' >go")
			}, after: func(c *cell) {
				c.onVault("systemctl --user stop granting")
				c.sendAway()
			}, want: map[string]want{"": {good: true, log: `(?s)prompt answered: allowed.*ready.*prompt answered: allowed`}},
		},
	}
}

// noPrompter sees what asked go, stopped or not: before its answer comes, or when the
// client has gone. A request of Clef's, which others may join, outlives its client by
// half a minute.
func noPrompter(within time.Duration) func(c *cell) {
	return func(c *cell) {
		c.onVault(fmt.Sprintf("for i in $(seq 0 %d); do pgrep -x zenity || exit 0; sleep 0.1; done; exit 1", within/(100*time.Millisecond)))
	}
}

// callPerson gives the vault a screen, and rules that leave everything to whoever sits
// before it.
func (c *cell) callPerson() {
	must(c.t, c.vault.Put(c.t.Context(), rulesPath, []byte(strings.ReplaceAll(rules, `"allow"`, `"ask"`))))
	c.onVault(`systemd-run --user --quiet --collect --unit=screen Xvfb :7 -noreset -screen 0 1024x768x24
until test -S /tmp/.X11-unix/X7; do sleep 0.02; done
systemctl --user set-environment DISPLAY=:7`)
}

// callGranting has somebody sit before the screen who allows everything.
func (c *cell) callGranting() {
	c.callPerson()
	c.onVault(`systemd-run --user --quiet --collect --unit=granting --setenv=DISPLAY=:7 sh -c '
while :; do
	until xdotool search --name "splitvault: work asks"; do sleep 0.1; done
	sleep 1.2
	xdotool key --delay 100 Tab Return
	sleep 0.3
done'`)
}

// window waits until the person is asked.
func (c *cell) window() {
	c.onVault(`for i in $(seq 500); do DISPLAY=:7 xdotool search --name "splitvault: work asks" && exit; sleep 0.02; done; exit 1`)
}

// nextAsked checks that the next request is asked about, and that a yes is one.
func (c *cell) nextAsked() {
	r := c.send(c.t.Context(), c.s, 30*time.Second, "")
	c.window()
	c.press(r, "Tab Return")
	if a := r.answer(); !a.good(c.s) {
		c.t.Errorf("the next request, allowed by a person, gets %q, %v", a.said, a.err)
	}
}

// press has the person press keys until a request has ended: on a busy machine they may
// come too early, after which the window is shown again.
func (c *cell) press(r *asked, keys string) {
	for {
		// Read first; the button that is chosen already is Deny.
		c.onVault("sleep 1.2; DISPLAY=:7 xdotool key --delay 100 " + keys)
		select {
		case <-r.ended:
			return
		case <-time.After(2 * time.Second):
		}
	}
}

// sendAway takes back what callPerson did.
func (c *cell) sendAway() {
	c.onVault("systemctl --user unset-environment DISPLAY; systemctl --user stop screen splitvault-consent")
	must(c.t, c.vault.Put(c.t.Context(), rulesPath, []byte(rules)))
}
