package sshguard_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/splitvault/splitvault/pkg/audit"
	"github.com/splitvault/splitvault/pkg/rules"
	"github.com/splitvault/splitvault/pkg/sshagent"
	"github.com/splitvault/splitvault/pkg/sshguard"
)

// Whatever a client sends, only requests to list and to sign reach the agent.
func TestNothingButListAndSignReachesTheAgent(t *testing.T) {
	t.Parallel()
	k := ed25519Key(t, "key")
	v := newVault(t, k.AddedKey)
	r := parseRules(t, allowAll)
	long := bytes.Repeat([]byte{0, 0, 0, 1}, 8<<10)
	for _, body := range [][]byte{nil, {0}, {0, 0, 0, 0}, long} {
		for n := range 256 {
			if n == int(sshagent.TypeRequestIdentities) && body == nil {
				continue // the one that is allowed
			}
			c := call(t, r, v)
			want := sshagent.Failure()
			if got := c.ask(frame(t, sshagent.MessageType(n), body)); !bytes.Equal(got.Bytes(), want.Bytes()) {
				t.Errorf("type %d with %d bytes is answered by %v", n, len(body), got.Type())
			}
			c.conn.Close()
		}
	}
	if n := v.reached(); n != 0 {
		t.Errorf("%d requests reached the agent", n)
	}
}

func TestExtensions(t *testing.T) {
	t.Parallel()
	v := newVault(t, ed25519Key(t, "key").AddedKey)
	name := func(s string, rest ...byte) []byte {
		return append([]byte{0, 0, 0, byte(len(s))}, append([]byte(s), rest...)...)
	}
	for _, row := range []struct {
		name string
		body []byte
		want sshagent.MessageType
	}{
		{"query lists what is known", name("query"), sshagent.TypeExtensionResponse},
		{"query with content", name("query", 1), sshagent.TypeFailure},
		{"reset", name("reset@splitvault"), sshagent.TypeSuccess},
		{"reset with content", name("reset@splitvault", 0), sshagent.TypeFailure},
		{"a binding without content", name("session-bind@openssh.com"), sshagent.TypeExtensionFailure},
		{"a look-alike of the binding", name("session-bind@openssh.org"), sshagent.TypeFailure},
		{"PuTTY's", name("list-extended@putty.projects.tartarus.org"), sshagent.TypeFailure},
		{"a name with a zero byte", name("query\x00"), sshagent.TypeFailure},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			c := call(t, parseRules(t, allowAll), v)
			if got := c.ask(frame(t, sshagent.TypeExtension, row.body)); got.Type() != row.want {
				t.Errorf("answered by %v, want %v", got.Type(), row.want)
			}
			if v.reached() != 0 {
				t.Error("it reached the agent")
			}
		})
	}
}

func TestThreeProtocolErrorsEndTheCall(t *testing.T) {
	t.Parallel()
	c := call(t, parseRules(t, allowAll), newVault(t))
	for range 3 {
		c.refused(frame(t, sshagent.TypeIdentitiesAnswer, nil))
	}
	if err := c.end(5 * time.Second); !errors.Is(err, sshguard.ErrBadRequest) {
		t.Errorf("ended by %v", err)
	}
}

func TestRefusedMessagesDoNotEndTheCall(t *testing.T) {
	t.Parallel()
	c := call(t, parseRules(t, allowAll), newVault(t, ed25519Key(t, "key").AddedKey))
	for range 50 {
		c.refused(frame(t, sshagent.TypeLock, nil))
	}
	if len(c.list()) != 1 {
		t.Error("nothing is listed any more")
	}
}

func TestBrokenStreamsEndTheCallWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	for name, bytes := range map[string]string{
		"length 0":             "\x00\x00\x00\x00",
		"length of 4 GiB":      "\xff\xff\xff\xff\x0b",
		"one byte over 64 KiB": "\x00\x01\x00\x01\x0b",
		"text":                 "GET / HTTP/1.1\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newVault(t)
			c := call(t, parseRules(t, allowAll), v)
			c.send([]byte(bytes))
			if err := c.end(5 * time.Second); !errors.Is(err, sshguard.ErrBadRequest) {
				t.Errorf("ended by %v", err)
			}
			if rest := c.rest(); len(rest) != 0 || v.reached() != 0 {
				t.Errorf("answered by %q, agent reached %d times", rest, v.reached())
			}
		})
	}
}

func TestTheLargestFrameIsTaken(t *testing.T) {
	t.Parallel()
	k := ed25519Key(t, "key")
	c := call(t, parseRules(t, allowAll+everything), newVault(t, k.AddedKey))
	data := bytes.Repeat([]byte("x"), sshagent.MaxRequest-1-4-len(k.blob)-4-4)
	request := k.ask(t, data)
	if n := len(request.Body()) + 1; n != sshagent.MaxRequest {
		t.Fatalf("the request has %d bytes", n)
	}
	if err := k.verified(c.ask(request), data); err != nil {
		t.Error(err)
	}
}

// Where something is missing or wrong in the vault, clients get clean refusals.
func TestDeniesEverythingWithout(t *testing.T) {
	t.Parallel()
	k := ed25519Key(t, "key")
	for _, row := range []struct {
		name   string
		rules  rules.SSH
		agents []sshguard.Agent
		why    string
	}{
		{"rules", rules.SSH{}, []sshguard.Agent{newVault(t, k.AddedKey)}, "no rule"},
		{"rules for this qube", parseRules(t, strings.ReplaceAll(allowAll, "work", "other")), []sshguard.Agent{newVault(t, k.AddedKey)}, "no rule"},
		{"an agent", parseRules(t, allowAll), nil, "no agent to ask"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			for _, request := range []sshagent.Frame{sshagent.RequestIdentities(), k.ask(t, k.login("session", nil))} {
				c := call(t, row.rules, row.agents...)
				c.refused(request)
				if !strings.Contains(c.logged(), row.why) {
					t.Errorf("logged:\n%s", c.logged())
				}
			}
			for _, a := range row.agents {
				if n := a.(*vault).signed(); n != 0 {
					t.Errorf("%d signatures", n)
				}
			}
		})
	}
}

func TestAskDeniesInWords(t *testing.T) {
	t.Parallel()
	k := ed25519Key(t, "key")
	v := newVault(t, k.AddedKey)
	c := call(t, parseRules(t, strings.ReplaceAll(allowAll, "allow", "ask")), v)
	if len(c.list()) != 1 {
		t.Error("a key that may be asked for is not listed")
	}
	c.refused(k.ask(t, k.login("session", nil)))
	if v.signed() != 0 || !strings.Contains(c.logged(), "asks a person") {
		t.Errorf("signed %d times; logged:\n%s", v.signed(), c.logged())
	}
}

// A hostile client must not drown what the journal says of others.
func TestRefusalsDoNotFloodTheJournal(t *testing.T) {
	t.Parallel()
	c := call(t, parseRules(t, allowAll), newVault(t))
	const n = 500
	for range n {
		c.refused(frame(t, sshagent.TypeRemoveAllIdentities, nil))
	}
	c.conn.Close()
	_ = c.end(5 * time.Second) // whatever it says of the client that closed
	lines := len(c.log.AllEntries())
	if lines > 60 || lines+c.guard.Stats.Unlogged != n {
		t.Errorf("%d lines, and %d counted", lines, c.guard.Stats.Unlogged)
	}
}

// What a client wrote stands in the journal as printable ASCII only.
func TestClientsTextIsQuotedInTheJournal(t *testing.T) {
	t.Parallel()
	k := ed25519Key(t, "key")
	c := call(t, parseRules(t, allowAll), newVault(t, k.AddedKey))
	evil := "a\nSPLITVAULT_VERDICT=allow\x1b[2J\u202e<b>"
	login := sshagent.Login{
		SessionID: []byte("s"), User: evil, Service: "ssh-connection", Method: sshagent.MethodPublicKey, Algorithm: "ssh-ed25519", Key: k.blob,
	}
	c.ask(k.ask(t, login.Encode()))
	c.ask(k.ask(t, sshsig(evil)))
	for _, e := range c.log.AllEntries() {
		for field, value := range e.Data {
			s, ok := value.(string)
			if ok && strings.ContainsFunc(s, func(r rune) bool { return r != '…' && (r < ' ' || r > '~') }) {
				t.Errorf("%s is %q", field, s)
			}
		}
	}
	if len(c.log.AllEntries()) != 2 {
		t.Errorf("logged:\n%s", c.logged())
	}
}

func TestResetForgetsBindingsUnlessTheyWerePassedOn(t *testing.T) {
	t.Parallel()
	k, host := ed25519Key(t, "key"), ed25519Key(t, "host")
	v := newVault(t, k.AddedKey)
	c := call(t, parseRules(t, allowAll), v)
	reset := frame(t, sshagent.TypeExtension, append([]byte{0, 0, 0, 16}, "reset@splitvault"...))
	if got := c.ask(host.binding(t, "session", false)); got.Type() != sshagent.TypeSuccess {
		t.Fatalf("binding: %v", got.Type())
	}
	c.refused(k.ask(t, k.login("other session", nil)))
	if got := c.ask(reset); got.Type() != sshagent.TypeSuccess {
		t.Fatalf("reset: %v", got.Type())
	}
	if err := k.verified(c.ask(k.ask(t, k.login("other session", nil))), k.login("other session", nil)); err != nil {
		t.Errorf("after reset: %v", err)
	}
	v.bound = true
	if got := c.ask(reset); got.Type() != sshagent.TypeExtensionFailure {
		t.Errorf("reset of an agent that holds bindings: %v", got.Type())
	}
}

// What the journal and the audit file say of one client is not left out for the
// next, and the errors of one do not end the call of the next.
func TestResetStartsTheCountsAnew(t *testing.T) {
	t.Parallel()
	k := ed25519Key(t, "key")
	c := call(t, parseRules(t, allowAll), newVault(t, k.AddedKey))
	for range 3 {
		c.ask(sshagent.RequestIdentities())
		c.ask(sshagent.RequestIdentities())
		for range 2 {
			c.refused(frame(t, sshagent.TypeSuccess, nil))
		}
		if got := c.ask(sshagent.ResetRequest()); got.Type() != sshagent.TypeSuccess {
			t.Fatalf("reset: %v", got.Type())
		}
	}
	if got := strings.Count(c.logged(), audit.MessageListed); got != 3 {
		t.Errorf("%d lists are logged, want one for each client:\n%s", got, c.logged())
	}
}
