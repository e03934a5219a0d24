package sshguard_test

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"

	"github.com/splitvault/splitvault/pkg/knownhosts"
	"github.com/splitvault/splitvault/pkg/rate"
	"github.com/splitvault/splitvault/pkg/rules"
	"github.com/splitvault/splitvault/pkg/sshagent"
	"github.com/splitvault/splitvault/pkg/sshguard"
)

// callKnowing runs a guard of a vault that knows hosts.
func callKnowing(tb testing.TB, r rules.SSH, knownHosts string, agents ...sshguard.Agent) *client {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "known_hosts")
	if err := os.WriteFile(path, []byte(knownHosts), 0o600); err != nil {
		tb.Fatal(err)
	}
	db, err := knownhosts.Load(path)
	if err != nil {
		tb.Fatal(err)
	}
	log, hook := logtest.NewNullLogger()
	log.SetLevel(logrus.DebugLevel)
	return serve(tb, &sshguard.Guard{Qube: "work", Rules: r, Agents: agents, Log: log, KnownHosts: db}, hook)
}

// line is a line of known_hosts for a host with this key.
func (k key) line(marker, names string) string {
	return strings.TrimSpace(marker+" "+names+" "+k.signer.PublicKey().Type()+" "+base64.StdEncoding.EncodeToString(k.blob)) + "\n"
}

// A rule for a host holds against a client that has root in its qube: it may bind
// what it likes with host keys of its own.
func TestARuleForAHostHoldsAgainstForgedDestinations(t *testing.T) {
	t.Parallel()
	k, github, evil, revoked := ed25519Key(t, "key"), ed25519Key(t, "github"), ed25519Key(t, "evil"), ed25519Key(t, "revoked")
	known := github.line("", "github.com") + revoked.line("", "github.com") + revoked.line("@revoked", "*")
	r := parseRules(t, allowAll+`hosts = ["github.com"]`+"\n"+`users = ["git"]`)
	for _, row := range []struct {
		name    string
		binding []sshagent.Frame
		data    []byte
		allowed bool
	}{
		{"there, hostbound", nil, k.login("session", &github), true},
		{"there, hostbound and bound", []sshagent.Frame{github.binding(t, "session", false)}, k.login("session", &github), true},
		{"there, bound", []sshagent.Frame{github.binding(t, "session", false)}, k.login("session", nil), true},
		{"not said where", nil, k.login("session", nil), false},
		{"bound with a key of the client's own", []sshagent.Frame{evil.binding(t, "session", false)}, k.login("session", nil), false},
		{"elsewhere, hostbound", nil, k.login("session", &evil), false},
		{"bound there, login elsewhere", []sshagent.Frame{github.binding(t, "session", false)}, k.login("session", &evil), false},
		{"there, by a revoked key", nil, k.login("session", &revoked), false},
		{"no login", nil, sshsig("git"), false},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			v := newVault(t, k.AddedKey)
			c := callKnowing(t, r, known, v)
			for _, b := range row.binding {
				c.ask(b)
			}
			if row.allowed {
				if err := k.verified(c.ask(k.ask(t, row.data)), row.data); err != nil {
					t.Errorf("refused: %v\n%s", err, c.logged())
				}
				return
			}
			c.refused(k.ask(t, row.data))
			if v.signed() != 0 {
				t.Error("the request reached the agent")
			}
		})
	}
}

// The journal names a host only if the vault knows it.
func TestTheJournalNamesNoHostThatIsNotBelieved(t *testing.T) {
	t.Parallel()
	k, github, evil := ed25519Key(t, "key"), ed25519Key(t, "github"), ed25519Key(t, "evil")
	for want, use := range map[string]struct {
		binding sshagent.Frame
		host    *key
	}{
		`"github.com`:          {github.binding(t, "session", false), nil},
		`"UNVERIFIED`:          {evil.binding(t, "session", false), nil},
		`"unknown host SHA256`: {evil.binding(t, "session", false), &evil},
	} {
		c := callKnowing(t, parseRules(t, allowAll), github.line("", "github.com"), newVault(t, k.AddedKey))
		c.ask(use.binding)
		data := k.login("session", use.host)
		if err := k.verified(c.ask(k.ask(t, data)), data); err != nil {
			t.Error(err)
		}
		if got := strings.ReplaceAll(c.logged(), `\"`, `"`); !strings.Contains(got, want) {
			t.Errorf("%s is not in\n%s", want, got)
		}
	}
}

// Servers close after a few wrong keys, and need not learn of the others.
func TestABoundConnectionIsOfferedOnlyTheKeysForItsHost(t *testing.T) {
	t.Parallel()
	work, home := ed25519Key(t, "work"), ed25519Key(t, "home")
	github, shell, stranger := ed25519Key(t, "github"), ed25519Key(t, "shell"), ed25519Key(t, "stranger")
	known := github.line("", "github.com") + shell.line("", "shell.example")
	r := parseRules(t, `
[[ssh.rule]]
qube = "work"
keys = ["comment:work"]
hosts = ["github.com"]
decision = "allow"
[[ssh.rule]]
qube = "work"
keys = ["comment:home"]
hosts = ["shell.example"]
decision = "allow"
`)
	for name, row := range map[string]struct {
		host *key
		want [][]byte
	}{
		"not bound":         {nil, [][]byte{work.blob, home.blob}},
		"bound to one":      {&github, [][]byte{work.blob}},
		"bound to other":    {&shell, [][]byte{home.blob}},
		"bound to stranger": {&stranger, nil},
	} {
		c := callKnowing(t, r, known, newVault(t, work.AddedKey, home.AddedKey))
		if row.host != nil {
			c.ask(row.host.binding(t, "session", false))
		}
		var got [][]byte
		for _, id := range c.list() {
			got = append(got, id.Blob)
		}
		if !slices.EqualFunc(got, row.want, slices.Equal) {
			t.Errorf("%s: %d keys, want %d", name, len(got), len(row.want))
		}
	}
}

func TestBeyondItsRateARuleAllowsNothingByItself(t *testing.T) {
	t.Parallel()
	k := ed25519Key(t, "key")
	r := parseRules(t, allowAll+`rate = "2/h"`)
	ids := r.Rated("work", "")
	if len(ids) != 1 {
		t.Fatalf("rated rules: %q", ids)
	}
	dir := t.TempDir()
	for call, allowed := range [][]bool{{true, true, false}, {false}} { // the count outlives a call
		counter, err := rate.Open(dir, ids[0]+"/work")
		if err != nil {
			t.Fatal(err)
		}
		log, hook := logtest.NewNullLogger()
		v := newVault(t, k.AddedKey)
		c := serve(t, &sshguard.Guard{
			Qube: "work", Rules: r, Agents: []sshguard.Agent{v}, Log: log, Rates: map[string]*rate.Counter{ids[0]: counter},
		}, hook)
		for i, want := range allowed {
			data := sshsig("git")
			if got := k.verified(c.ask(k.ask(t, data)), data) == nil; got != want {
				t.Errorf("call %d, use %d: allowed is %v", call, i, got)
			}
		}
		c.hangUp()
		counter.Close()
	}
	// No counter: used up.
	v := newVault(t, k.AddedKey)
	c := call(t, r, v)
	c.refused(k.ask(t, sshsig("git")))
	if v.signed() != 0 {
		t.Error("the request reached the agent")
	}
}

// What cannot be recorded is not given.
func TestNothingIsGivenThatCannotBeRecorded(t *testing.T) {
	t.Parallel()
	k := ed25519Key(t, "key")
	log, hook := logtest.NewNullLogger()
	c := serve(t, &sshguard.Guard{
		Qube: "work", Rules: parseRules(t, allowAll), Agents: []sshguard.Agent{newVault(t, k.AddedKey)}, Log: log,
		Lost: func() error { return os.ErrClosed },
	}, hook)
	c.refused(k.ask(t, sshsig("git")))
	c.refused(sshagent.RequestIdentities())
	if c.guard.Stats.Signed != 0 {
		t.Error("counted as signed")
	}
}

// The lines are looked into when a host is first asked for, and what is wrong with
// them is said then, once.
func TestLinesOfKnownHostsThatCannotBeReadAreSaidOnce(t *testing.T) {
	t.Parallel()
	user, github := ed25519Key(t, "user"), ed25519Key(t, "github")
	c := callKnowing(t, parseRules(t, "[[ssh.rule]]\nqube = \"work\"\ndecision = \"allow\"\n"), "nonsense\n"+github.line("", "github.com"), newVault(t, user.AddedKey))
	const words = "lines of known_hosts that cannot be read"
	c.ask(sshagent.RequestIdentities())
	if got := c.logged(); strings.Contains(got, words) {
		t.Errorf("before a host is asked for:\n%s", got)
	}
	c.ask(github.binding(t, "session", false))
	for range 2 {
		c.ask(sshagent.RequestIdentities())
	}
	if got := c.logged(); strings.Count(got, words) != 1 {
		t.Errorf("logged:\n%s", got)
	}
}
