package bind_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/splitvault/splitvault/pkg/sshagent"
	"github.com/splitvault/splitvault/pkg/sshagent/agenttest"
)

const vectors = "../testdata/ssh-agent-frames.jsonl"

// host is a server with its host key.
type host struct {
	ssh.Signer
	blob []byte
}

func newHost(tb testing.TB, private crypto.Signer) host {
	tb.Helper()
	signer, err := ssh.NewSignerFromSigner(private)
	if err != nil {
		tb.Fatal(err)
	}
	return host{signer, signer.PublicKey().Marshal()}
}

func ed25519Host(tb testing.TB) host {
	tb.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return newHost(tb, private)
}

func ecdsaHost(tb testing.TB) host {
	tb.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return newHost(tb, private)
}

func rsaHost(tb testing.TB) host {
	tb.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		tb.Fatal(err)
	}
	return newHost(tb, private)
}

// sign signs as a server does, with an algorithm of its key or its only one.
func (h host) sign(tb testing.TB, data, algorithm string) []byte {
	tb.Helper()
	var sig *ssh.Signature
	var err error
	if algorithm == "" {
		sig, err = h.Sign(rand.Reader, []byte(data))
	} else {
		sig, err = h.Signer.(ssh.AlgorithmSigner).SignWithAlgorithm(rand.Reader, []byte(data), algorithm)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return ssh.Marshal(sig)
}

// binding is the honest binding of a session with this host.
func (h host) binding(tb testing.TB, session string, forwarding bool) sshagent.BindRequest {
	tb.Helper()
	return sshagent.BindRequest{HostKey: h.blob, SessionID: []byte(session), Signature: h.sign(tb, session, ""), Forwarding: forwarding}
}

func (h host) frame(tb testing.TB, session string, forwarding bool) sshagent.Frame {
	tb.Helper()
	return frameOf(tb, h.binding(tb, session, forwarding))
}

func frameOf(tb testing.TB, b sshagent.BindRequest) sshagent.Frame {
	tb.Helper()
	f, err := b.Frame()
	if err != nil {
		tb.Fatal(err)
	}
	return f
}

// certificate makes a host certificate of h.
func (h host) certificate(tb testing.TB, ca host) *ssh.Certificate {
	tb.Helper()
	c := &ssh.Certificate{
		Key: h.PublicKey(), CertType: ssh.HostCert, KeyId: "host", ValidPrincipals: []string{"example.org"}, ValidBefore: ssh.CertTimeInfinity,
	}
	if err := c.SignCert(rand.Reader, ca.Signer); err != nil {
		tb.Fatal(err)
	}
	return c
}

// opaque is a host key of a format that is not known here.
func opaque(session string) sshagent.BindRequest {
	const format = "ssh-mldsa44-ed25519@openssh.com"
	return sshagent.BindRequest{
		HostKey: agenttest.Strings(format, "key"), SessionID: []byte(session), Signature: agenttest.Strings(format, "sig"),
	}
}
