package upstream_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/splitvault/splitvault/pkg/sshagent"
	"github.com/splitvault/splitvault/pkg/sshagent/bind"
	"github.com/splitvault/splitvault/pkg/upstream"
)

// shortDir is for sockets, for which t.TempDir can be too long.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "up")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// listen calls serve for each connection to path.
func listen(t *testing.T, path string, serve func(net.Conn)) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				serve(conn)
			}()
		}
	}()
}

// plainAgent is an agent that knows no bindings, with one key of that comment.
func plainAgent(t *testing.T, path, comment string) ssh.PublicKey {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys := agent.NewKeyring()
	if err := keys.Add(agent.AddedKey{PrivateKey: &private, Comment: comment}); err != nil {
		t.Fatal(err)
	}
	listen(t, path, func(c net.Conn) { _ = agent.ServeAgent(keys, c) })
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// hang takes all and answers nothing.
func hang(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

func dial(t *testing.T, path string) *upstream.Agent {
	t.Helper()
	a, err := upstream.Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a
}

// comments lists an agent's keys.
func comments(t *testing.T, a *upstream.Agent, binds *bind.List) []string {
	t.Helper()
	ids, err := a.List(t.Context(), binds)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, id := range ids {
		all = append(all, string(id.Comment))
	}
	return all
}

// blob returns the key with that comment.
func blob(t *testing.T, a *upstream.Agent, binds *bind.List, comment string) []byte {
	t.Helper()
	ids, err := a.List(t.Context(), binds)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		if string(id.Comment) == comment {
			return id.Blob
		}
	}
	t.Fatalf("no key %q", comment)
	return nil
}

func request(t *testing.T, key, data []byte) sshagent.Frame {
	t.Helper()
	f, err := sshagent.SignRequest{Key: key, Data: data}.Frame()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// login is the data of a login by an Ed25519 key.
func login(key []byte, session string, hostKey []byte) []byte {
	l := sshagent.Login{
		SessionID: []byte(session), User: "root", Service: "ssh-connection", Method: sshagent.MethodPublicKey, Algorithm: "ssh-ed25519", Key: key,
	}
	if hostKey != nil {
		l.Method, l.HostKey = sshagent.MethodHostbound, hostKey
	}
	return l.Encode()
}

// host is a server that binds sessions.
type host struct{ ssh.Signer }

func newHost(t *testing.T) host {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	return host{signer}
}

func (h host) blob() []byte { return h.PublicKey().Marshal() }

func (h host) bind(t *testing.T, binds *bind.List, session string, forwarding bool) {
	t.Helper()
	sig, err := h.Sign(rand.Reader, []byte(session))
	if err != nil {
		t.Fatal(err)
	}
	add(t, binds, sshagent.BindRequest{HostKey: h.blob(), SessionID: []byte(session), Signature: ssh.Marshal(sig), Forwarding: forwarding})
}

func add(t *testing.T, binds *bind.List, b sshagent.BindRequest) {
	t.Helper()
	f, err := b.Frame()
	if err != nil {
		t.Fatal(err)
	}
	if answer := binds.Add(f); answer.Type() != sshagent.TypeSuccess {
		t.Fatalf("the binding is answered by %v", answer.Type())
	}
}
