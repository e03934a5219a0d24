package openssh

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/splitvault/splitvault/pkg/sshagent"
	"github.com/splitvault/splitvault/pkg/sshagent/agenttest"
)

// boundUser is the only user that the first key may log in as; the others may log
// in as anybody. All are bound to one host.
const boundUser = "git"

// keys are the same in every run, so that inputs that were found stay good.
func keys(tb testing.TB) []crypto.Signer {
	tb.Helper()
	curve, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), seed(2))
	if err != nil {
		tb.Fatal(err)
	}
	text, err := os.ReadFile("testdata/rsa")
	if err != nil {
		tb.Fatal(err)
	}
	private, err := ssh.ParseRawPrivateKey(text)
	if err != nil {
		tb.Fatal(err)
	}
	return []crypto.Signer{ed25519.NewKeyFromSeed(seed(1)), curve, private.(crypto.Signer)}
}

func seed(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

// host is the server that keys are bound to.
func host(tb testing.TB) ssh.Signer {
	tb.Helper()
	signer, err := ssh.NewSignerFromSigner(ed25519.NewKeyFromSeed(seed(3)))
	if err != nil {
		tb.Fatal(err)
	}
	return signer
}

// world is two real agents with the same keys: bound to a host, and free.
type world struct {
	bound, free *agenttest.Agent
	keys        []sshagent.Key
	host        ssh.Signer
}

func open(tb testing.TB) *world {
	tb.Helper()
	w := &world{bound: agenttest.Start(tb), free: agenttest.Start(tb), host: host(tb)}
	for i, private := range keys(tb) {
		signer, err := ssh.NewSignerFromSigner(private)
		if err != nil {
			tb.Fatal(err)
		}
		k, err := sshagent.ParseKey(signer.PublicKey().Marshal())
		if err != nil {
			tb.Fatal(err)
		}
		w.keys = append(w.keys, k)
		block, err := ssh.MarshalPrivateKey(private, k.Format)
		if err != nil {
			tb.Fatal(err)
		}
		file := k.Format
		for _, a := range []*agenttest.Agent{w.bound, w.free} {
			if err := os.WriteFile(filepath.Join(a.Dir, file), pem.EncodeToMemory(block), 0o600); err != nil {
				tb.Fatal(err)
			}
		}
		w.free.Run(tb, "ssh-add", "-q", file)
		known := append([]byte("db.example "), ssh.MarshalAuthorizedKey(w.host.PublicKey())...)
		if err := os.WriteFile(filepath.Join(w.bound.Dir, "known"), known, 0o600); err != nil {
			tb.Fatal(err)
		}
		to := "db.example"
		if i == 0 {
			to = boundUser + "@" + to
		}
		w.bound.Run(tb, "ssh-add", "-q", "-H", "known", "-h", to, file)
	}
	return w
}

// bind ties a connection to a session with the host. Sessions that ssh-agent does
// not take are none that a login could be for.
func (w *world) bind(tb testing.TB, conn *agenttest.Conn, session []byte) bool {
	tb.Helper()
	sig, err := w.host.Sign(rand.Reader, session)
	if err != nil {
		tb.Fatal(err)
	}
	f, err := sshagent.BindRequest{HostKey: w.host.PublicKey().Marshal(), SessionID: session, Signature: ssh.Marshal(sig)}.Frame()
	if err != nil {
		tb.Fatal(err)
	}
	return conn.Ask(tb, f).Type() == sshagent.TypeSuccess
}

// sign gives an agent's signature, nil if it refuses.
func sign(tb testing.TB, conn *agenttest.Conn, k sshagent.Key, flags uint32, data []byte) *ssh.Signature {
	tb.Helper()
	f, err := sshagent.SignRequest{Key: k.Blob, Data: data, Flags: flags}.Frame()
	if err != nil {
		tb.Fatal(err)
	}
	reply := conn.Ask(tb, f)
	if reply.Type() != sshagent.TypeSignResponse {
		return nil
	}
	return verified(tb, reply, k, flags, data)
}

// verified reads a reply with a signature, which must be by that key over that data.
func verified(tb testing.TB, reply sshagent.Frame, k sshagent.Key, flags uint32, data []byte) *ssh.Signature {
	tb.Helper()
	if err := sshagent.CheckSignReply(reply, k, flags); err != nil {
		tb.Fatal(err)
	}
	var outer struct{ Blob []byte }
	var sig ssh.Signature
	if err := ssh.Unmarshal(reply.Body(), &outer); err != nil {
		tb.Fatal(err)
	}
	if err := ssh.Unmarshal(outer.Blob, &sig); err != nil {
		tb.Fatal(err)
	}
	public, err := ssh.ParsePublicKey(k.Blob)
	if err != nil {
		tb.Fatal(err)
	}
	if err := public.Verify(data, &sig); err != nil {
		tb.Fatalf("ssh-agent has signed something else: %v", err)
	}
	return &sig
}
