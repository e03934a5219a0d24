package sshguard_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	logtest "github.com/sirupsen/logrus/hooks/test"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/splitvault/splitvault/pkg/sshagent"
	"github.com/splitvault/splitvault/pkg/sshagent/agenttest"
	"github.com/splitvault/splitvault/pkg/sshguard"
)

// certificateToSign is what a certificate authority's agent is asked to sign.
func (k key) certificateToSign(tb testing.TB, subject key) []byte {
	tb.Helper()
	cert := &ssh.Certificate{
		Nonce: []byte("nonce"), Key: subject.signer.PublicKey(), CertType: ssh.UserCert, KeyId: "id", ValidPrincipals: []string{"root"},
		ValidBefore: ssh.CertTimeInfinity, SignatureKey: k.signer.PublicKey(), Signature: &ssh.Signature{Format: "x", Blob: []byte("x")},
	}
	parsed, err := sshagent.ParseKey(cert.Marshal())
	if err != nil {
		tb.Fatal(err)
	}
	return parsed.Cert.Encode()
}

// A key signs for a purpose exactly if a rule says so.
func TestPurposesAgainstRules(t *testing.T) {
	t.Parallel()
	k, host := ed25519Key(t, "key"), ed25519Key(t, "host")
	proof := sshagent.HostKeyProof{SessionID: []byte("session"), HostKey: k.blob}
	uses := []struct {
		name, purpose string
		data          []byte
		bindings      []sshagent.Frame
	}{
		{"login", "login", k.login("session", nil), nil},
		{"login, bound", "login", k.login("session", nil), []sshagent.Frame{host.binding(t, "session", false)}},
		{"login, hostbound", "login", k.login("session", &host), nil},
		{
			"login through a forwarded agent", "forwarded-login", k.login("second", &host),
			[]sshagent.Frame{host.binding(t, "first", true), host.binding(t, "second", false)},
		},
		{"login from the host that forwards", "forwarded-login", k.login("second", &host), []sshagent.Frame{host.binding(t, "first", true)}},
		{"git signature", "sshsig:git", sshsig("git"), nil},
		{"file signature", "sshsig:file", sshsig("file"), nil},
		{"certificate", "certificate", k.certificateToSign(t, host), nil},
		{"proof of a host key", "hostkey", proof.Encode(), nil},
		{"naked hash", "hostkey", []byte(strings.Repeat("h", 32)), nil},
		{"any bytes", "raw", []byte("attack at dawn"), nil},
		{"nothing", "raw", nil, nil},
		{"file signature cut short", "raw", sshsig("git")[:20], nil},
	}
	allowed := map[string]func(purpose string) bool{
		"":                            func(p string) bool { return p == "login" || strings.HasPrefix(p, "sshsig:") },
		`purpose = ["sshsig:*"]`:      func(p string) bool { return strings.HasPrefix(p, "sshsig:") },
		`purpose = ["sshsig:g*"]`:     func(p string) bool { return p == "sshsig:git" },
		`purpose = ["sshsig:*:raw"]`:  func(string) bool { return false },
		everything:                    func(string) bool { return true },
		`purpose = ["sshsig:login*"]`: func(string) bool { return false },
	}
	for _, p := range []string{"login", "forwarded-login", "sshsig:git", "certificate", "hostkey", "raw"} {
		allowed[fmt.Sprintf("purpose = [%q]", p)] = func(purpose string) bool { return purpose == p }
	}
	for rule, allows := range allowed {
		r := parseRules(t, allowAll+rule)
		for _, use := range uses {
			t.Run(rule+"/"+use.name, func(t *testing.T) {
				t.Parallel()
				v := newVault(t, k.AddedKey)
				c := call(t, r, v)
				for _, b := range use.bindings {
					if got := c.ask(b); got.Type() != sshagent.TypeSuccess {
						t.Fatalf("binding: %v", got.Type())
					}
				}
				if !allows(use.purpose) {
					c.refused(k.ask(t, use.data))
					if v.signed() != 0 {
						t.Error("the request reached the agent")
					}
					return
				}
				if err := k.verified(c.ask(k.ask(t, use.data)), use.data); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func TestALoginForAnotherSessionThanTheBoundOneIsRefused(t *testing.T) {
	t.Parallel()
	k, host, other := ed25519Key(t, "key"), ed25519Key(t, "host"), ed25519Key(t, "other")
	for name, data := range map[string][]byte{
		"other session id": k.login("stolen", nil),
		"other host key":   k.login("session", &other),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newVault(t, k.AddedKey)
			c := call(t, parseRules(t, allowAll+everything), v)
			if got := c.ask(host.binding(t, "session", false)); got.Type() != sshagent.TypeSuccess {
				t.Fatalf("binding: %v", got.Type())
			}
			c.refused(k.ask(t, data))
			if v.signed() != 0 {
				t.Error("the request reached the agent")
			}
		})
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	ed, rsa := ed25519Key(t, "ed"), rsaKey(t, "rsa")
	for _, row := range []struct {
		name  string
		key   key
		flags uint32
		ok    bool
	}{
		{"RSA with SHA-1", rsa, 0, false},
		{"RSA with an unknown flag, which means SHA-1", rsa, 8, false},
		{"RSA with SHA-256", rsa, 2, true},
		{"RSA with SHA-512", rsa, 4, true},
		{"RSA with both", rsa, 6, false},
		{"Ed25519", ed, 0, true},
		{"Ed25519 with a flag", ed, 2, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			v := newVault(t, ed.AddedKey, rsa.AddedKey)
			c := call(t, parseRules(t, allowAll+everything), v)
			row.key.flags = row.flags
			data := []byte("data to sign")
			if !row.ok {
				c.refused(row.key.ask(t, data))
				if v.reached() != 0 {
					t.Error("the agent was asked")
				}
				return
			}
			if err := row.key.verified(c.ask(row.key.ask(t, data)), data); err != nil {
				t.Error(err)
			}
		})
	}
}

// It is no condition that a key was listed before, and no help: what counts is
// what the agent holds now.
func TestAKeyCountsOnlyWhileTheAgentHoldsIt(t *testing.T) {
	t.Parallel()
	held, foreign := ed25519Key(t, "held"), ed25519Key(t, "foreign")
	v := newVault(t, held.AddedKey)
	c := call(t, parseRules(t, allowAll), v)
	data := held.login("session", nil)
	if err := held.verified(c.ask(held.ask(t, data)), data); err != nil {
		t.Errorf("a key that was never listed: %v", err)
	}
	c.refused(foreign.ask(t, foreign.login("session", nil)))
	if len(c.list()) != 1 {
		t.Fatal("the key is not listed")
	}
	if err := v.keys.RemoveAll(); err != nil {
		t.Fatal(err)
	}
	c.refused(held.ask(t, data))
	if v.signed() != 1 {
		t.Errorf("%d requests reached the agent, want 1", v.signed())
	}
}

// A hidden key signs nothing.
func TestWhatIsNotListedDoesNotSign(t *testing.T) {
	t.Parallel()
	shown, hidden := ed25519Key(t, "shown"), ed25519Key(t, "hidden")
	v := newVault(t, shown.AddedKey, hidden.AddedKey)
	c := call(t, parseRules(t, fmt.Sprintf("[[ssh.rule]]\nqube = \"work\"\nkeys = [%q]\ndecision = \"allow\"\n%s", shown.fingerprint(), everything)), v)
	if ids := c.list(); len(ids) != 1 || string(ids[0].Blob) != string(shown.blob) {
		t.Fatalf("%d keys are listed", len(ids))
	}
	for _, data := range [][]byte{hidden.login("session", nil), sshsig("git"), []byte("raw")} {
		c.refused(hidden.ask(t, data))
	}
	if v.signed() != 0 {
		t.Error("the agent was asked")
	}
}

// Whatever a faulty agent answers, the client gets this signature or a failure.
func TestAnswersOfTheAgentAreChecked(t *testing.T) {
	t.Parallel()
	k, other, weak := ed25519Key(t, "key"), ed25519Key(t, "other"), rsaKey(t, "rsa")
	data := k.login("session", nil)
	sign := func(k key, data []byte) func(sshagent.Frame) (sshagent.Frame, error) {
		return func(sshagent.Frame) (sshagent.Frame, error) {
			sig, err := k.signer.Sign(rand.Reader, data)
			if err != nil {
				return sshagent.Frame{}, err
			}
			return signReply(sig)
		}
	}
	for name, answer := range map[string]func(sshagent.Frame) (sshagent.Frame, error){
		"another request's signature": sign(k, []byte("other data")),
		"another key's signature":     sign(other, data),
		"a signature of another form": sign(weak, data),
		"success":                     func(sshagent.Frame) (sshagent.Frame, error) { return sshagent.Success(), nil },
		"a list":                      func(sshagent.Frame) (sshagent.Frame, error) { return sshagent.IdentitiesReply(nil) },
		"a request":                   func(sshagent.Frame) (sshagent.Frame, error) { return sshagent.RequestIdentities(), nil },
		"an extension's failure":      func(sshagent.Frame) (sshagent.Frame, error) { return sshagent.ExtensionFailure(), nil },
		"a failure":                   func(sshagent.Frame) (sshagent.Frame, error) { return sshagent.Failure(), nil },
		"an empty signature":          func(sshagent.Frame) (sshagent.Frame, error) { return message(sshagent.TypeSignResponse, nil) },
		"an error":                    func(sshagent.Frame) (sshagent.Frame, error) { return sshagent.Frame{}, errors.New("lost") },
		"a signature and more": func(f sshagent.Frame) (sshagent.Frame, error) {
			good, err := sign(k, data)(f)
			if err != nil {
				return good, err
			}
			return message(sshagent.TypeSignResponse, append(good.Body(), 0))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newVault(t, k.AddedKey)
			v.onSign = answer
			c := call(t, parseRules(t, allowAll), v)
			c.refused(k.ask(t, data))
			if v.signed() != 1 {
				t.Fatalf("the agent was asked %d times", v.signed())
			}
			if !strings.Contains(c.logged(), "request failed") {
				t.Errorf("logged:\n%s", c.logged())
			}
		})
	}
}

// Formats to come are passed on, with the check that is possible.
func TestKeysOfUnknownFormats(t *testing.T) {
	t.Parallel()
	const format = "ssh-mldsa44@openssh.com"
	blob := agenttest.Strings(format, "public key")
	for name, row := range map[string]struct {
		signature string
		ok        bool
	}{"its own format": {format, true}, "another format": {"ssh-rsa", false}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newVault(t)
			v.onList = func() ([]sshagent.Identity, error) { return []sshagent.Identity{{Blob: blob}}, nil }
			v.onSign = func(sshagent.Frame) (sshagent.Frame, error) {
				return signReply(&ssh.Signature{Format: row.signature, Blob: []byte("signature")})
			}
			c := call(t, parseRules(t, allowAll), v)
			reply := c.ask(key{blob: blob}.ask(t, sshsig("git")))
			if (reply.Type() == sshagent.TypeSignResponse) != row.ok || v.signed() != 1 {
				t.Errorf("answered by %v, the agent was asked %d times", reply.Type(), v.signed())
			}
		})
	}
}

func TestKeysOfMergedAgents(t *testing.T) {
	t.Parallel()
	one, both, two := ed25519Key(t, "one"), ed25519Key(t, "both"), rsaKey(t, "two")
	first, second := newVault(t, one.AddedKey, both.AddedKey), newVault(t, both.AddedKey, two.AddedKey)
	c := call(t, parseRules(t, allowAll), first, second)
	if n := len(c.list()); n != 3 {
		t.Errorf("%d keys are listed", n)
	}
	for i, k := range []key{one, both, two} {
		data := k.login("session", nil)
		if err := k.verified(c.ask(k.ask(t, data)), data); err != nil {
			t.Errorf("key %d: %v", i, err)
		}
	}
	if first.signed() != 2 || second.signed() != 1 {
		t.Errorf("the first agent signed %d times, the second %d times", first.signed(), second.signed())
	}
	second.onList = func() ([]sshagent.Identity, error) { return nil, errors.New("lost") }
	c.refused(one.ask(t, one.login("session", nil)))
}

func TestACertificateSignsByTheKeyInIt(t *testing.T) {
	t.Parallel()
	k, ca := ed25519Key(t, "key"), ed25519Key(t, "ca")
	cert := &ssh.Certificate{Key: k.signer.PublicKey(), CertType: ssh.UserCert, KeyId: "id", ValidBefore: ssh.CertTimeInfinity}
	if err := cert.SignCert(rand.Reader, ca.signer); err != nil {
		t.Fatal(err)
	}
	v := newVault(t, agent.AddedKey{PrivateKey: k.PrivateKey, Certificate: cert, Comment: "cert"})
	// The rule names the fingerprint that ssh-add -l prints, which is the key's.
	c := call(t, parseRules(t, fmt.Sprintf("[[ssh.rule]]\nqube = \"work\"\nkeys = [%q]\ndecision = \"allow\"\n", k.fingerprint())), v)
	ids := c.list()
	if len(ids) != 1 || string(ids[0].Blob) != string(cert.Marshal()) {
		t.Fatalf("%d keys are listed", len(ids))
	}
	withCert := k
	withCert.blob = cert.Marshal()
	login := sshagent.Login{
		SessionID: []byte("s"), User: "u", Service: "ssh-connection", Method: sshagent.MethodPublicKey,
		Algorithm: ssh.CertAlgoED25519v01, Key: withCert.blob,
	}
	if err := k.verified(c.ask(withCert.ask(t, login.Encode())), login.Encode()); err != nil {
		t.Error(err)
	}
}

func TestABrokenAgentEndsTheCall(t *testing.T) {
	t.Parallel()
	k := ed25519Key(t, "key")
	v := newVault(t, k.AddedKey)
	v.isBroken = true
	c := call(t, parseRules(t, allowAll), v)
	c.send(sshagent.RequestIdentities().Bytes())
	if err := <-c.ended; !errors.Is(err, sshguard.ErrAgent) {
		t.Errorf("ended by %v", err)
	}
	if _, err := c.in.Next(); err != nil {
		t.Errorf("the request was not answered: %v", err)
	}
}

// A client that keeps its connection does not have to lose a request to learn that
// the agent, or what asks a person, was restarted.
func TestTheEndOfAnIdlePeerEndsTheCall(t *testing.T) {
	t.Parallel()
	k := ed25519Key(t, "key")
	ended := make(chan struct{})
	for name, row := range map[string]struct {
		guard sshguard.Guard
		want  error
	}{
		"agent":    {sshguard.Guard{AgentEnded: ended}, sshguard.ErrAgent},
		"consentd": {sshguard.Guard{PersonEnded: ended}, sshguard.ErrPerson},
	} {
		log, hook := logtest.NewNullLogger()
		g := &row.guard
		g.Qube, g.Rules, g.Agents, g.Log = "work", parseRules(t, allowAll), []sshguard.Agent{newVault(t, k.AddedKey)}, log
		c := serve(t, g, hook)
		if ids := c.list(); len(ids) != 1 {
			t.Fatalf("%d keys are listed", len(ids))
		}
		t.Cleanup(func() {
			select {
			case err := <-c.ended:
				if !errors.Is(err, row.want) {
					t.Errorf("%s: ended by %v", name, err)
				}
			case <-time.After(5 * time.Second):
				t.Errorf("%s: it does not end", name)
			}
		})
	}
	close(ended)
}
