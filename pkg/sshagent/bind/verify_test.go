package bind_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/splitvault/splitvault/pkg/sshagent"
	"github.com/splitvault/splitvault/pkg/sshagent/agenttest"
	"github.com/splitvault/splitvault/pkg/sshagent/bind"
)

func TestHonestBindingsVerify(t *testing.T) {
	t.Parallel()
	rsaServer, ca := rsaHost(t), ed25519Host(t)
	server := ed25519Host(t)
	cert := server.binding(t, "session", false)
	cert.HostKey = server.certificate(t, ca).Marshal()
	tests := map[string]sshagent.BindRequest{
		"ed25519": server.binding(t, "session", false),
		"ecdsa":   ecdsaHost(t).binding(t, "session", true),
		"rsa with SHA-256": {
			HostKey: rsaServer.blob, SessionID: []byte("session"), Signature: rsaServer.sign(t, "session", ssh.KeyAlgoRSASHA256),
		},
		"rsa with SHA-512": {
			HostKey: rsaServer.blob, SessionID: []byte("session"), Signature: rsaServer.sign(t, "session", ssh.KeyAlgoRSASHA512),
		},
		"host certificate": cert,
	}
	for _, v := range agenttest.Vectors(t, vectors) {
		if v.Frame.Type() != sshagent.TypeExtension {
			continue
		}
		b, err := sshagent.ParseBind(v.Frame)
		if err != nil {
			t.Fatal(err)
		}
		tests["recorded, "+v.Case] = b
	}
	for name, b := range tests {
		if verified, err := bind.Verify(b); !verified || err != nil {
			t.Errorf("%s: got %v, %v", name, verified, err)
		}
	}
}

func TestForgedBindingsDoNotVerify(t *testing.T) {
	t.Parallel()
	server, attacker, ca := ed25519Host(t), ed25519Host(t), ed25519Host(t)
	rsaServer := rsaHost(t)
	good := server.binding(t, "session", false)
	with := func(f func(*sshagent.BindRequest)) sshagent.BindRequest {
		b := good
		f(&b)
		return b
	}
	flipped := bytes.Clone(good.Signature)
	flipped[len(flipped)-1] ^= 1
	foreignCA := server.certificate(t, ca)
	foreignCA.SignatureKey = attacker.PublicKey()
	renamed := server.certificate(t, ca)
	renamed.ValidPrincipals = []string{"bank.example"}
	mpint := func(n int) string { return "\x00" + strings.Repeat("\xb1", n) }
	for name, b := range map[string]sshagent.BindRequest{
		"attacker's signature under the server's key": with(func(b *sshagent.BindRequest) { b.Signature = attacker.sign(t, "session", "") }),
		"server's signature under the attacker's key": with(func(b *sshagent.BindRequest) { b.HostKey = attacker.blob }),
		"signature of another session":                with(func(b *sshagent.BindRequest) { b.SessionID = []byte("other") }),
		"session id longer than what was signed":      with(func(b *sshagent.BindRequest) { b.SessionID = []byte("session\x00") }),
		"a bit flipped":                               with(func(b *sshagent.BindRequest) { b.Signature = flipped }),
		"no signature":                                with(func(b *sshagent.BindRequest) { b.Signature = nil }),
		"signature cut":                               with(func(b *sshagent.BindRequest) { b.Signature = good.Signature[:40] }),
		"signature with a byte more":                  with(func(b *sshagent.BindRequest) { b.Signature = append(bytes.Clone(good.Signature), 0) }),
		"signature of another format": with(func(b *sshagent.BindRequest) {
			b.Signature = bytes.Replace(good.Signature, []byte("ssh-ed25519"), []byte("ssh-ed25518"), 1)
		}),
		"key with a byte more": with(func(b *sshagent.BindRequest) { b.HostKey = append(bytes.Clone(good.HostKey), 0) }),
		"key cut":              with(func(b *sshagent.BindRequest) { b.HostKey = good.HostKey[:30] }),
		"point that is not on the curve": with(func(b *sshagent.BindRequest) {
			b.HostKey = agenttest.Strings("ecdsa-sha2-nistp256", "nistp256", "\x04"+strings.Repeat("\x55", 64))
		}),
		"certificate of the attacker's authority": with(func(b *sshagent.BindRequest) { b.HostKey = foreignCA.Marshal() }),
		"certificate with another name":           with(func(b *sshagent.BindRequest) { b.HostKey = renamed.Marshal() }),
	} {
		if verified, err := bind.Verify(b); verified || err == nil {
			t.Errorf("%s: got %v, %v", name, verified, err)
		}
	}
	for name, b := range map[string]sshagent.BindRequest{
		"rsa with SHA-1": {
			HostKey: rsaServer.blob, SessionID: []byte("session"), Signature: rsaServer.sign(t, "session", ssh.KeyAlgoRSA),
		},
		"dsa": {
			HostKey:   agenttest.Strings("ssh-dss", mpint(128), mpint(20), "\x02", "\x02"),
			SessionID: []byte("session"), Signature: agenttest.Strings("ssh-dss", strings.Repeat("s", 40)),
		},
	} {
		if verified, err := bind.Verify(b); verified || !errors.Is(err, bind.ErrRefused) {
			t.Errorf("%s: got %v, %v", name, verified, err)
		}
	}
}

func TestUnknownAlgorithmsAreKeptUnverified(t *testing.T) {
	t.Parallel()
	if verified, err := bind.Verify(opaque("session")); verified || err != nil {
		t.Errorf("key: got %v, %v", verified, err)
	}
	// A certificate whose authority has a key of an unknown format.
	server := ed25519Host(t)
	b := server.binding(t, "session", false)
	whole := server.certificate(t, ed25519Host(t)).Marshal()
	k, err := sshagent.ParseKey(whole)
	if err != nil {
		t.Fatal(err)
	}
	k.Cert.SignatureKey = agenttest.Strings("ssh-new", "key")
	b.HostKey = append(k.Cert.Encode(), agenttest.Strings("signature")...)
	if verified, err := bind.Verify(b); verified || err != nil {
		t.Errorf("authority: got %v, %v", verified, err)
	}
	b.Signature = server.sign(t, "other", "")
	if verified, err := bind.Verify(b); verified || err == nil {
		t.Errorf("authority unknown, signature wrong: got %v, %v", verified, err)
	}
}

func TestOnlyCertificatesAreVerifiedAsSuch(t *testing.T) {
	t.Parallel()
	k, err := sshagent.ParseKey(ed25519Host(t).blob)
	if err != nil {
		t.Fatal(err)
	}
	for name, k := range map[string]sshagent.Key{"plain key": k, "zero": {}} {
		if verified, err := bind.VerifyCertificate(k); verified || err == nil {
			t.Errorf("%s: got %v, %v", name, verified, err)
		}
	}
}

func TestSelfMadeBindingsAreFreshAndValid(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 3 {
		f, err := bind.SelfMade()
		if err != nil {
			t.Fatal(err)
		}
		b, err := sshagent.ParseBind(f)
		if err != nil || !b.Forwarding || len(b.SessionID) != 32 {
			t.Fatalf("got %+v, %v", b, err)
		}
		if verified, err := bind.Verify(b); !verified || err != nil {
			t.Errorf("got %v, %v", verified, err)
		}
		if seen[string(b.HostKey)] || seen[string(b.SessionID)] {
			t.Error("made twice")
		}
		seen[string(b.HostKey)], seen[string(b.SessionID)] = true, true
	}
}
