package attacks

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/splitvault/splitvault/test/baseline"
)

// signAnything: an agent signs whatever it is given, also certificates with a
// CA's key, and bytes whose meaning nobody knows.
func (w *world) signAnything(t *testing.T) {
	session := random(32)
	whats := map[string][]byte{
		"random bytes":                       random(1024),
		"what may be a key exchange's hash":  random(32),
		"a user certificate":                 certificate(t, w.key),
		"proof of a host key":                concat(str("hostkeys-prove-00@openssh.com"), str(session), str(public(t, w.key).Marshal())),
		"a login to another kind of service": []byte(strings.Replace(string(login(session, public(t, w.key), nil)), "ssh-connection", "pam-connection", 1)),
	}
	fresh := func() { w.agent(t) }
	w.control(t, fresh, func(t *testing.T) {
		for what, data := range whats {
			answer := raw().dial(t, w.work).ask(t, signRequest(public(t, w.key), data, 0))
			_, ok := signed(public(t, w.key), data, answer)
			effect(t, ok, "%s is not signed", what)
		}
	})
	w.through(t, fresh, func(t *testing.T, way way) {
		for _, data := range whats {
			way.dial(t, w.work).refused(t, signRequest(public(t, w.key), data, 0))
		}
	})
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return b
}

// certificate is a certificate for root as it is signed: by which anyone whose
// key it names may log in wherever the CA is trusted.
func certificate(t *testing.T, ca ed25519.PrivateKey) []byte {
	u64 := func(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
	return concat(str("ssh-ed25519-cert-v01@openssh.com"), str(random(32)), str(random(32)), u64(1), u32(1), str("mallory"), str(str("root")),
		u64(0), u64(1<<63), str(""), str(""), str(""), str(public(t, ca).Marshal()))
}

// forgeDestination: the owner of a host that a key is limited to (ssh-add -h)
// binds the connection to another server's session, and logs in there. A
// binding proves only that this owner has signed that session's id.
func (w *world) forgeDestination(t *testing.T) {
	_, mine, err := ed25519.GenerateKey(rand.Reader) // the attacker's host
	must(t, err)
	_, limited, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	known := "dev.example " + string(ssh.MarshalAuthorizedKey(public(t, mine)))
	must(t, baseline.Put(t.Context(), w.vault, map[string][]byte{"/etc/ssh/ssh_known_hosts": []byte(known)}))
	fresh := func() {
		w.agent(t)
		w.add(t, limited, "free", "-h", "dev.example")
	}
	session := random(32) // of a connection to prod.example
	forged := signRequest(public(t, limited), login(session, public(t, limited), nil), 0)
	use := func(t *testing.T, way way, request []byte) []byte {
		l := way.dial(t, w.work)
		if answer := l.ask(t, binding(t, mine, session)); answer[0] != success {
			t.Errorf("the binding is answered by %d", answer[0])
		}
		return l.ask(t, request)
	}
	w.control(t, fresh, func(t *testing.T) {
		_, ok := signed(public(t, limited), login(session, public(t, limited), nil), use(t, raw(), forged))
		effect(t, ok, "the forged login is not signed")
	})
	w.through(t, fresh, func(t *testing.T, way way) {
		if answer := use(t, way, forged); answer[0] != failure {
			t.Errorf("the forged login is answered by %d", answer[0])
		}
		// A login that says itself which host it is for may use the key.
		honest := login(session, public(t, limited), public(t, mine))
		if _, ok := signed(public(t, limited), honest, use(t, way, signRequest(public(t, limited), honest, 0))); !ok {
			t.Error("the honest login is not signed")
		}
	})
}

// weakSignature: an RSA key signs by SHA-1 for who does not ask for better.
func (w *world) weakSignature(t *testing.T) {
	fresh := func() {
		w.agent(t)
		w.add(t, w.rsa, "free")
	}
	key := public(t, w.rsa)
	w.control(t, fresh, func(t *testing.T) {
		for _, flags := range []uint32{0, 8} {
			format, ok := signed(key, fileSignature(), raw().dial(t, w.work).ask(t, signRequest(key, fileSignature(), flags)))
			effect(t, ok && format == "ssh-rsa", "flags %d give the format %q", flags, format)
		}
	})
	w.through(t, fresh, func(t *testing.T, way way) {
		for _, flags := range []uint32{0, 1, 6, 8, 12, 1 << 31} {
			way.dial(t, w.work).refused(t, signRequest(key, fileSignature(), flags))
		}
		for flags, want := range map[uint32]string{2: "rsa-sha2-256", 4: "rsa-sha2-512"} {
			answer := way.dial(t, w.work).ask(t, signRequest(key, fileSignature(), flags))
			if format, ok := signed(key, fileSignature(), answer); !ok || format != want {
				t.Errorf("flags %d: format %q, valid: %v", flags, format, ok)
			}
		}
	})
}
