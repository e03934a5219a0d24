package faults

import (
	"context"
	"fmt"
	"time"
)

// killFaults kill each process at each stage, and take away whole qubes.
func killFaults() []fault {
	relay := func(c *cell) { c.onWork("pkill -KILL -x " + c.s.relay) }
	client := func(c *cell) { c.onWork("pkill -KILL -x qrexec-client-v") }
	guard := func(c *cell) { c.onVault("pkill -KILL -x " + c.s.guard) }
	upstream := func(c *cell) { c.onVault(c.s.kill) }
	relayDied := bad(`communication with agent failed|No private key found`, `Empty reply from server|reset by peer|transfer closed`, `connection|reset|EOF|hung up`, ``)
	broken := bad(noAgent, `4900.*signer unreachable: (the connection broke|qrexec-client-vm was ended by signal 9|the service in VAULT failed with exit code 137)`,
		`the connection broke|ended by signal 9|failed with exit code 137`, ``)
	// gpg starts a new agent where one was killed.
	upstreamDied := bad(noAgent, `4900.*Clef does not answer`, `try again`, ``)
	upstreamDied["pass"] = want{any: true, says: `try again`}
	upstreamDied["clef"] = want{any: true, says: `4900.*Clef`} // or the guard has started another
	hangs := bad(noAgent, `4900.*Clef`, `try again`, ``)
	// Of what the vault stops first, the request hears.
	shutDown := bad(noAgent, `4900`, `the connection broke|try again|decrypt|failed with exit code`, ``)
	gpg := func(c *cell) { c.onVault("pkill -KILL -x gpg") }
	return []fault{
		{name: "kill-relay-calling", only: withBody, stage: calling, during: relay, want: relayDied},
		{name: "kill-relay-working", gate: true, stage: working, during: relay, want: relayDied},
		{name: "kill-relay-answering", stage: answering, during: relay, want: relayDied},
		{name: "kill-client-calling", only: withBody, stage: calling, during: client, want: broken},
		{name: "kill-client-working", stage: working, during: client, want: broken},
		{name: "kill-client-answering", stage: answering, during: client, want: broken},
		{name: "kill-guard-calling", only: withBody, stage: calling, during: guard, want: broken},
		{name: "kill-guard-working", gate: true, stage: working, during: guard, want: broken},
		// What the guard has said still arrives. If that is the whole list, the signature is
		// asked of the next call's.
		{name: "kill-guard-answering", only: []string{"ssh"}, stage: answering, during: guard, want: map[string]want{"ssh": {any: true, says: noAgent}}},
		{name: "kill-upstream-working", gate: true, stage: working, during: upstream, after: agentUp, want: upstreamDied},
		{name: "kill-gpg-working", only: []string{"pass"}, stage: working, during: gpg, want: upstreamDied},
		{name: "client-gives-up-working", stage: working, patience: "timeout -s KILL 3", during: func(*cell) {}, settle: 40 * time.Second, want: bad(``, ``, ``, ``)},
		{name: "upstream-restarted", before: func(c *cell) { upstream(c); agentUp(c) }, want: map[string]want{"": {good: true}}},
		// The guard ends its call with the agent, so that the next request makes another.
		{name: "agent-restarts-connection-open", only: []string{"ssh"}, stage: holding, patience: heldOpen(8), during: func(c *cell) {
			upstream(c)
			agentUp(c)
			c.onWork("printf '\\n\\n' >go")
		}, want: map[string]want{"": {good: true}}},
		{name: "upstream-hangs-a-while", stage: working, during: func(c *cell) {
			time.Sleep(1500 * time.Millisecond)
			c.onVault(c.s.goOn)
		}, want: map[string]want{"": {good: true}}},
		{name: "upstream-hangs", within: 60 * time.Second, stage: working, during: func(*cell) {}, want: hangs},
		{name: "vault-crashes-working", stage: working, during: func(c *cell) { must(c.t, c.vault.Kill()) }, after: bootVault, want: broken},
		{name: "vault-shuts-down-working", stage: working, during: func(c *cell) { must(c.t, c.vault.Shutdown(c.t.Context())) }, after: bootVault, want: shutDown},
		{name: "vault-reboots", before: func(c *cell) {
			must(c.t, c.vault.Kill())
			bootVault(c)
		}, want: map[string]want{"": {good: true}}},
		{name: "vault-halted", within: 30 * time.Second, before: func(c *cell) { must(c.t, c.vault.Shutdown(c.t.Context())) }, after: seeVault, want: map[string]want{
			"ssh": {any: true, says: noAgent}, "": {good: true},
		}},
		{name: "qrexec-agent-restarts-in-vault", before: func(c *cell) { c.ctl("restart-agent", "--for", "1s", "vault") }, after: func(c *cell) { c.ctl("wait-agent", "vault") }, want: dom0Says("4001.*Qubes policy refused", "dom0 refused")},
		{name: "qrexec-agent-restarts-in-work", before: func(c *cell) { c.ctl("restart-agent", "--for", "1s", "work") }, after: func(c *cell) { c.ctl("wait-agent", "work") }, want: dom0Says("4900.*qrexec in this qube did not connect", "qrexec in this qube did not connect")},
		{name: "qrexec-agents-restart-deciding", stage: deciding, during: restartAgents, want: dom0Says("4001.*Qubes policy refused", "dom0 refused")},
		{name: "qrexec-agents-restart-working", stage: working, during: func(c *cell) {
			restartAgents(c)
			c.onVault(c.s.goOn)
		}, want: map[string]want{"": {good: true}}},
	}
}

func restartAgents(c *cell) {
	for _, qube := range []string{"vault", "work"} {
		c.ctl("restart-agent", "--for", "200ms", qube)
	}
	for _, qube := range []string{"vault", "work"} {
		c.ctl("wait-agent", qube)
	}
}

// heldOpen signs n times on one connection, a quarter of them before somebody writes to
// the pipe, and then has the client run.
func heldOpen(n int) string {
	return fmt.Sprintf(`sh -c './client -n %d -only ssh <>go >held && exec "$@"' sh`, n)
}

// bad is what is expected where the request gets no answer: what each service's client
// is told, and a line in a journal.
func bad(ssh, clef, pass, log string) map[string]want {
	return map[string]want{"ssh": {says: ssh, log: log}, "clef": {says: clef, log: log}, "pass": {says: pass, log: log}}
}

// agentUp waits for the ssh agent, which its unit restarts. Clef and gpg-agent are
// started by whoever needs them.
func agentUp(c *cell) { must(c.t, c.agents(c.t.Context())) }

func (w *world) agents(ctx context.Context) error {
	_, err := w.vault.User(ctx, `for i in $(seq 300); do SSH_AUTH_SOCK=$XDG_RUNTIME_DIR/agent.sock ssh-add -l >/dev/null 2>&1 && exit 0; sleep 0.03; done; exit 1`)
	return err
}

// bootVault boots the vault again, after it has ended.
func bootVault(c *cell) {
	spec := c.vault.Spec()
	var err error
	c.vault, err = c.Start(spec)
	must(c.t, err)
	seen(c)
}

// seeVault is for a vault that dom0 has started.
func seeVault(c *cell) {
	var err error
	c.vault, err = c.Qube("vault")
	must(c.t, err)
	seen(c)
}

// back makes a vault that has booted again what it was.
func back(c *cell) {
	must(c.t, c.vault.Put(c.t.Context(), "/usr/local/bin/census", []byte(census)))
	agentUp(c)
}

func seen(c *cell) {
	back(c)
	// As in the first boot, everything has been used once before one looks.
	for _, s := range services() {
		if a := c.ask(c.t.Context(), s, 20*time.Second); !a.good(s) {
			c.t.Errorf("after the vault's restart %s gets %q, %v", s.name, a.said, a.err)
		}
	}
}
