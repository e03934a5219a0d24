package sshguard_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/splitvault/splitvault/pkg/rules"
	"github.com/splitvault/splitvault/pkg/sshagent"
	"github.com/splitvault/splitvault/pkg/sshagent/bind"
	"github.com/splitvault/splitvault/pkg/sshguard"
)

const (
	allowAll   = "[[ssh.rule]]\nqube = \"work\"\ndecision = \"allow\"\n"
	everything = `purpose = ["login", "forwarded-login", "sshsig:*", "certificate", "hostkey", "raw"]` + "\n"
)

func parseRules(tb testing.TB, text string) rules.SSH {
	tb.Helper()
	file, err := rules.Parse("rules.toml", []byte(text))
	if err != nil {
		tb.Fatal(err)
	}
	return file.SSH
}

// vault is an agent that records what reaches it.
type vault struct {
	keys agent.ExtendedAgent

	mu    sync.Mutex
	lists int
	signs []sshagent.SignRequest

	// Answers instead of the true ones, if set.
	onSign   func(sshagent.Frame) (sshagent.Frame, error)
	onList   func() ([]sshagent.Identity, error)
	bound    bool // as if bindings had been passed on
	isBroken bool
}

var _ sshguard.Agent = (*vault)(nil)

func newVault(tb testing.TB, keys ...agent.AddedKey) *vault {
	tb.Helper()
	v := &vault{keys: agent.NewKeyring().(agent.ExtendedAgent)}
	for _, k := range keys {
		if err := v.keys.Add(k); err != nil {
			tb.Fatal(err)
		}
	}
	return v
}

func (v *vault) List(context.Context, *bind.List) ([]sshagent.Identity, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.lists++
	if v.onList != nil {
		return v.onList()
	}
	keys, err := v.keys.List()
	if err != nil {
		return nil, err
	}
	var ids []sshagent.Identity
	for _, k := range keys {
		ids = append(ids, sshagent.Identity{Blob: k.Blob, Comment: []byte(k.Comment)})
	}
	return ids, nil
}

func (v *vault) Sign(_ context.Context, _ *bind.List, _ bool, request sshagent.Frame) (sshagent.Frame, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	r, err := sshagent.ParseSignRequest(request)
	if err != nil {
		return sshagent.Frame{}, err
	}
	v.signs = append(v.signs, r)
	if v.onSign != nil {
		return v.onSign(request)
	}
	key, err := ssh.ParsePublicKey(r.Key)
	if err != nil {
		return sshagent.Frame{}, err
	}
	sig, err := v.keys.SignWithFlags(key, r.Data, agent.SignatureFlags(r.Flags))
	if err != nil {
		return sshagent.Frame{}, err
	}
	return signReply(sig)
}

func (v *vault) Reusable() bool { return !v.bound }
func (v *vault) Broken() bool   { return v.isBroken }

// reached is how often anything reached the agent.
func (v *vault) reached() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.lists + len(v.signs)
}

func (v *vault) signed() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.signs)
}

func signReply(sig *ssh.Signature) (sshagent.Frame, error) {
	return message(sshagent.TypeSignResponse, ssh.Marshal(struct{ S []byte }{ssh.Marshal(sig)}))
}

func message(t sshagent.MessageType, body []byte) (sshagent.Frame, error) {
	wire := []byte{0, 0, 0, 0, byte(t)}
	wire = append(wire, body...)
	n := len(wire) - 4
	wire[0], wire[1], wire[2], wire[3] = byte(n>>24), byte(n>>16), byte(n>>8), byte(n)
	return sshagent.ParseFrame(wire, sshagent.MaxReply)
}

func frame(tb testing.TB, t sshagent.MessageType, body []byte) sshagent.Frame {
	tb.Helper()
	f, err := message(t, body)
	if err != nil {
		tb.Fatal(err)
	}
	return f
}

// key is a key pair with its blob.
type key struct {
	agent.AddedKey
	signer ssh.Signer
	blob   []byte
	flags  uint32
}

func newKey(tb testing.TB, private any, comment string) key {
	tb.Helper()
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		tb.Fatal(err)
	}
	return key{AddedKey: agent.AddedKey{PrivateKey: private, Comment: comment}, signer: signer, blob: signer.PublicKey().Marshal()}
}

func ed25519Key(tb testing.TB, comment string) key {
	tb.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return newKey(tb, &private, comment)
}

func rsaKey(tb testing.TB, comment string) key {
	tb.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		tb.Fatal(err)
	}
	k := newKey(tb, private, comment)
	k.flags = sshagent.FlagRSASHA512
	return k
}

func (k key) fingerprint() string { return sshagent.Fingerprint(k.blob) }

// ask is the request to sign data.
func (k key) ask(tb testing.TB, data []byte) sshagent.Frame {
	tb.Helper()
	f, err := sshagent.SignRequest{Key: k.blob, Data: data, Flags: k.flags}.Frame()
	if err != nil {
		tb.Fatal(err)
	}
	return f
}

// verified tells whether a reply is a good signature by k over data.
func (k key) verified(reply sshagent.Frame, data []byte) error {
	return verified(k.signer.PublicKey(), reply, data)
}

func verified(public ssh.PublicKey, reply sshagent.Frame, data []byte) error {
	if reply.Type() != sshagent.TypeSignResponse {
		return errors.New("the reply is " + reply.Type().String())
	}
	var body struct{ S []byte }
	if err := ssh.Unmarshal(reply.Body(), &body); err != nil {
		return err
	}
	var sig ssh.Signature
	if err := ssh.Unmarshal(body.S, &sig); err != nil {
		return err
	}
	return public.Verify(data, &sig)
}

func (k key) login(session string, host *key) []byte {
	l := sshagent.Login{
		SessionID: []byte(session), User: "git", Service: "ssh-connection", Method: sshagent.MethodPublicKey,
		Algorithm: k.signer.PublicKey().Type(), Key: k.blob,
	}
	if k.flags == sshagent.FlagRSASHA512 {
		l.Algorithm = "rsa-sha2-512"
	}
	if host != nil {
		l.Method, l.HostKey = sshagent.MethodHostbound, host.blob
	}
	return l.Encode()
}

func (k key) binding(tb testing.TB, session string, forwarding bool) sshagent.Frame {
	tb.Helper()
	sig, err := k.signer.Sign(rand.Reader, []byte(session))
	if err != nil {
		tb.Fatal(err)
	}
	f, err := sshagent.BindRequest{
		HostKey: k.blob, SessionID: []byte(session), Signature: ssh.Marshal(sig), Forwarding: forwarding,
	}.Frame()
	if err != nil {
		tb.Fatal(err)
	}
	return f
}

func sshsig(namespace string) []byte {
	s := sshagent.SSHSIG{Namespace: namespace, HashAlg: "sha256", Hash: bytes.Repeat([]byte{7}, 32)}
	return s.Encode()
}

// client is the other end of a call.
type client struct {
	tb    testing.TB
	conn  *net.UnixConn
	in    *sshagent.Reader
	guard *sshguard.Guard
	log   *logtest.Hook
	ended chan error
}

// call runs a guard for the qube "work".
func call(tb testing.TB, r rules.SSH, agents ...sshguard.Agent) *client {
	tb.Helper()
	log, hook := logtest.NewNullLogger()
	log.SetLevel(logrus.DebugLevel)
	return serve(tb, &sshguard.Guard{Qube: "work", Rules: r, Agents: agents, Log: log}, hook)
}

func serve(tb testing.TB, guard *sshguard.Guard, hook *logtest.Hook) *client {
	tb.Helper()
	ours, theirs := pair(tb)
	c := &client{tb, ours, sshagent.NewReader(ours, sshagent.MaxReply, sshagent.FrameTime), guard, hook, make(chan error, 1)}
	go func() {
		c.ended <- guard.Serve(context.Background(), theirs, theirs)
		theirs.Close()
	}()
	return c
}

func pair(tb testing.TB) (ours, theirs *net.UnixConn) {
	tb.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		tb.Fatal(err)
	}
	var ends [2]*net.UnixConn
	for i, fd := range fds {
		file := os.NewFile(uintptr(fd), "pair")
		conn, err := net.FileConn(file)
		file.Close()
		if err != nil {
			tb.Fatal(err)
		}
		ends[i] = conn.(*net.UnixConn)
		tb.Cleanup(func() { conn.Close() })
	}
	return ends[0], ends[1]
}

func (c *client) send(b []byte) {
	c.tb.Helper()
	if err := c.conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		c.tb.Fatal(err)
	}
	if _, err := c.conn.Write(b); err != nil {
		c.tb.Fatal(err)
	}
}

// ask sends a message and returns the answer.
func (c *client) ask(f sshagent.Frame) sshagent.Frame {
	c.tb.Helper()
	c.send(f.Bytes())
	return c.next()
}

func (c *client) next() sshagent.Frame {
	c.tb.Helper()
	reply, err := c.in.Next()
	if err != nil {
		c.tb.Fatalf("no answer: %v", err)
	}
	return reply
}

// refused asks, and fails the test if the answer is not 05.
func (c *client) refused(f sshagent.Frame) {
	c.tb.Helper()
	if got := c.ask(f); !bytes.Equal(got.Bytes(), sshagent.Failure().Bytes()) {
		c.tb.Errorf("%v is answered by %v", f.Type(), got.Type())
	}
}

// list returns what the client is shown.
func (c *client) list() []sshagent.Identity {
	c.tb.Helper()
	ids, err := sshagent.ParseIdentities(c.ask(sshagent.RequestIdentities()))
	if err != nil {
		c.tb.Fatal(err)
	}
	return ids
}

// end waits for the guard's end within d.
func (c *client) end(d time.Duration) error {
	c.tb.Helper()
	select {
	case err := <-c.ended:
		return err
	case <-time.After(d):
		c.tb.Fatalf("the guard still runs after %v", d)
		return nil
	}
}

// hangUp closes the call and waits until the guard has seen it.
func (c *client) hangUp() {
	c.tb.Helper()
	c.conn.Close()
	_ = c.end(5 * time.Second) // it may say that answers were not taken
}

// rest reads what still comes, up to the end.
func (c *client) rest() []byte {
	c.tb.Helper()
	b, err := io.ReadAll(c.conn)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) {
		c.tb.Fatal(err)
	}
	return b
}

// logged is all that was logged, a line for each entry.
func (c *client) logged() string {
	var b strings.Builder
	for _, e := range c.log.AllEntries() {
		line, err := (&logrus.TextFormatter{DisableTimestamp: true, DisableColors: true}).Format(e)
		if err != nil {
			c.tb.Fatal(err)
		}
		b.Write(line)
	}
	return b.String()
}
