package openssh

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"testing"

	"github.com/splitvault/splitvault/pkg/sshagent"
)

// message is what file signatures of the seeds are for.
const message = "signed text\n"

// What data is to be signed for means the same to the real OpenSSH, or it refuses:
// the same user and session for a login, the same purpose for a file, the same
// content for a certificate. And what ssh-agent itself takes for a login never
// passes here as something else.
func FuzzSignDataMeansTheSame(f *testing.F) {
	w := open(f)
	w.seeds(f)
	f.Fuzz(func(t *testing.T, which byte, flags uint32, data []byte) {
		k := w.keys[int(which)%len(w.keys)]
		if k.CheckFlags(flags) != nil || len(data) > 64<<10 {
			return
		}
		d := sshagent.ParseSignData(data, k, flags)
		w.compareLogin(t, int(which)%len(w.keys), flags, data, d)
		switch d.Kind {
		case sshagent.KindSSHSIG:
			w.compareFile(t, k, flags, data, d.SSHSIG)
		case sshagent.KindCertificate:
			w.compareCertificate(t, k, flags, data, d.Certificate)
		default:
		}
	})
}

// seeds are one of each kind for each key.
func (w *world) seeds(f *testing.F) {
	f.Helper()
	short, long := sha256.Sum256([]byte(message)), sha512.Sum512([]byte(message))
	for i, k := range w.keys {
		var flags uint32
		algorithm := k.Format
		if k.Plain == sshagent.FormatRSA {
			flags, algorithm = sshagent.FlagRSASHA512, "rsa-sha2-512"
		}
		login := sshagent.Login{
			SessionID: long[:32], User: boundUser, Service: "ssh-connection", Method: sshagent.MethodPublicKey,
			Algorithm: algorithm, Key: k.Blob,
		}
		f.Add(byte(i), flags, login.Encode())
		login.Method, login.HostKey = sshagent.MethodHostbound, w.host.PublicKey().Marshal()
		f.Add(byte(i), flags, login.Encode())
		for _, user := range []string{"root", boundUser + "\x00", "\x00", "g\x00t", ""} {
			login.User = user
			f.Add(byte(i), flags, login.Encode())
		}
		for _, namespace := range []string{"git", "file", "git\x00", "a\x00b"} {
			for _, s := range []sshagent.SSHSIG{{Namespace: namespace, HashAlg: "sha256", Hash: short[:]}, {Namespace: namespace, HashAlg: "sha512", Hash: long[:]}} {
				f.Add(byte(i), flags, s.Encode())
			}
		}
		for _, name := range []string{"root", "root\x00"} {
			f.Add(byte(i), flags, toBeCertified(w.keys[0], k, name))
		}
	}
}

// compareLogin has the agent sign by the key that is bound to a host, for the
// session that the data begins with.
func (w *world) compareLogin(t *testing.T, which int, flags uint32, data []byte, d sshagent.SignData) {
	t.Helper()
	session := []byte("session")
	if first, ok := firstString(data); ok && len(first) > 0 && len(first) <= sshagent.MaxSessionID {
		session = first
	}
	conn := w.bound.Dial(t)
	if !w.bind(t, conn, session) {
		t.Fatalf("ssh-agent binds no session %q", session)
	}
	signed := sign(t, conn, w.keys[which], flags, data) != nil
	if d.Kind != sshagent.KindLogin {
		if signed && d.Kind != sshagent.KindRaw {
			t.Errorf("kind %v, and ssh-agent takes it for a login", d.Kind)
		}
		return
	}
	login := d.Login
	if !w.keys[which].Is(login.Key) {
		return // a certificate for the key, which ssh-agent tells from the key
	}
	should := bytes.Equal(login.SessionID, session) && (which != 0 || login.User == boundUser) &&
		(!login.Hostbound() || bytes.Equal(login.HostKey, w.host.PublicKey().Marshal()))
	if signed != should {
		t.Errorf("%+v: ssh-agent signs: %v", login, signed)
	}
}

func firstString(data []byte) ([]byte, bool) {
	if len(data) < 4 || uint64(binary.BigEndian.Uint32(data)) > uint64(len(data)-4) {
		return nil, false
	}
	return data[4 : 4+binary.BigEndian.Uint32(data)], true
}
