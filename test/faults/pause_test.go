package faults

import (
	"slices"
	"strings"
	"time"
)

// pauseFaults pause the vault while a person is asked, for longer than the service
// manager waits for a word of consentd. Both wake at once, and the clock has gone on:
// whether consentd is killed is a matter of which of the two is first.
func pauseFaults() []fault {
	want := bad(noAgent, `4001.*User denied: nobody c(an|ould) be asked in the vault`, `refused in the vault`, ``)
	over := bad(noAgent, `4001.*User denied: nobody (c(an|ould) be asked in the vault|answered the prompt in time)`, `refused in the vault`, ``)
	for name, w := range want {
		w.any = true
		want[name] = w
	}
	return []fault{
		{name: "vault-paused-asking", within: 40 * time.Second, stage: asking, before: func(c *cell) {
			c.watched("")
			c.grant()
		}, during: func(c *cell) {
			if c.pausedAsking() {
				c.granted()
				c.press(c.request, "Tab Return")
				if a := c.request.answer(); !a.good(c.s) {
					c.t.Errorf("nothing has killed consentd, and a yes gives %q, %v", a.said, a.err)
				}
			}
		}, after: unwatched, want: want},
		{name: "vault-paused-past-the-prompt", within: 40 * time.Second, stage: asking, before: func(c *cell) {
			c.watched("\nExecStart=\nExecStart=/usr/lib/splitvault/consentd --answer-time 4s")
		}, during: func(c *cell) { c.pausedAsking() }, after: unwatched, want: over},
	}
}

const watchDir = ".config/systemd/user/splitvault-consent.service.d"

// watched has the service manager wait three seconds where it waits half a minute.
func (c *cell) watched(more string) {
	must(c.t, c.vault.Put(c.t.Context(), watchDir+"/test.conf", []byte("[Service]\nWatchdogSec=3"+more+"\n")))
	c.onVault("systemctl --user daemon-reload")
}

func unwatched(c *cell) { c.onVault("rm -r " + watchDir + " && systemctl --user daemon-reload") }

// pausedAsking pauses the vault, and tells whether its consentd outlives that.
func (c *cell) pausedAsking() (lives bool) {
	const invocation = "systemctl --user show -P InvocationID -P ActiveState splitvault-consent"
	since := c.journalNow()
	before, err := c.vault.User(c.t.Context(), invocation)
	must(c.t, err)
	must(c.t, c.vault.Pause())
	time.Sleep(6 * time.Second)
	must(c.t, c.vault.Unpause())
	time.Sleep(2 * time.Second) // by then it is killed, or was heard
	now, err := c.vault.User(c.t.Context(), invocation)
	must(c.t, err)
	if now != before {
		c.logged(`splitvault-consent.service: Watchdog timeout`, since)
	}
	c.t.Logf("consentd outlives the pause: %v", now == before)
	return now == before
}

// other is a service that is not the cell's.
func (c *cell) other() service {
	all := services()
	return all[(1+slices.IndexFunc(all, func(s service) bool { return s.name == c.s.name }))%len(all)]
}

// grant has the person allow another service's request for some minutes.
func (c *cell) grant() {
	must(c.t, c.vault.Put(c.t.Context(), rulesPath, []byte(strings.ReplaceAll(rules, `"allow"`, "\"ask\"\nremember = \"5m\""))))
	r := c.send(c.t.Context(), c.other(), 30*time.Second, "")
	c.window()
	c.press(r, "Tab Tab Return")
	if a := r.answer(); !a.good(c.other()) {
		c.t.Errorf("a request that a person allows for some minutes gets %q, %v", a.said, a.err)
	}
}

// granted sees the grant hold, while something else is asked.
func (c *cell) granted() {
	if a := c.ask(c.t.Context(), c.other(), 10*time.Second); !a.good(c.other()) {
		c.t.Errorf("after the pause a grant gives %q, %v", a.said, a.err)
	}
}
