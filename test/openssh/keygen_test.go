package openssh

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/crypto/ssh"

	"github.com/splitvault/splitvault/pkg/sshagent"
)

// compareFile has ssh-keygen check the signature for the namespace that ours read.
func (w *world) compareFile(t *testing.T, k sshagent.Key, flags uint32, data []byte, s *sshagent.SSHSIG) {
	t.Helper()
	short, long := sha256.Sum256([]byte(message)), sha512.Sum512([]byte(message))
	if !bytes.Equal(s.Hash, short[:]) && !bytes.Equal(s.Hash, long[:]) {
		return // of a message that nobody knows
	}
	sig := sign(t, w.free.Dial(t), k, flags, data)
	if sig == nil {
		t.Fatal("ssh-agent does not sign by a free key")
	}
	blob := ssh.Marshal(struct {
		Magic                    [6]byte
		Version                  uint32
		Key                      []byte
		Namespace, Reserved, Alg string
		Signature                []byte
	}{[6]byte([]byte("SSHSIG")), 1, k.Blob, s.Namespace, "", s.HashAlg, ssh.Marshal(sig)})
	file := filepath.Join(t.TempDir(), "sig")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "SSH SIGNATURE", Bytes: blob}), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "ssh-keygen", "-Y", "check-novalidate", "-n", s.Namespace, "-s", file)
	cmd.Stdin = strings.NewReader(message)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("ssh-keygen does not take it for a signature of namespace %q: %v\n%s", s.Namespace, err, out)
	}
}

// toBeCertified is what an authority signs for a key and a principal.
func toBeCertified(k, authority sshagent.Key, principal string) []byte {
	var b bytes.Buffer
	str := func(s []byte) { b.Write(ssh.Marshal(struct{ S []byte }{s})) }
	list := func(parts ...string) {
		var all bytes.Buffer
		for _, p := range parts {
			all.Write(ssh.Marshal(struct{ S string }{p}))
		}
		str(all.Bytes())
	}
	str([]byte(k.Format + "-cert-v01@openssh.com"))
	str(make([]byte, 32))                                 // nonce
	b.Write(k.Blob[4+len(k.Format):])                     // the key's own fields
	b.Write([]byte{0, 0, 0, 0, 0, 0, 0, 7})               // serial
	b.Write([]byte{0, 0, 0, 1})                           // for users
	str([]byte("id"))                                     // key ID
	list(principal)                                       // principals
	b.Write(make([]byte, 8))                              // valid after
	b.Write(bytes.Repeat([]byte{0xff}, 8))                // valid before
	list("force-command", "\x00\x00\x00\x04date")         // critical options
	list("permit-agent-forwarding", "", "permit-pty", "") // extensions
	str(nil)                                              // reserved
	str(authority.Blob)
	return b.Bytes()
}

// compareCertificate has ssh-keygen read the certificate, and compares all that it
// prints as text.
func (w *world) compareCertificate(t *testing.T, k sshagent.Key, flags uint32, data []byte, c *sshagent.Certificate) {
	t.Helper()
	sig := sign(t, w.free.Dial(t), k, flags, data)
	if sig == nil {
		t.Fatal("ssh-agent does not sign by a free key")
	}
	blob := append(bytes.Clone(data), ssh.Marshal(struct{ Sig []byte }{ssh.Marshal(sig)})...)
	file := filepath.Join(t.TempDir(), "cert")
	if err := os.WriteFile(file, fmt.Appendf(nil, "%s %s\n", c.Format, base64.StdEncoding.EncodeToString(blob)), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "ssh-keygen", "-L", "-f", file)
	cmd.Env = []string{"LC_ALL=C", "TZ=UTC", "PATH=" + os.Getenv("PATH")}
	out, err := cmd.Output()
	if err != nil {
		return // refused
	}
	theirs, ours := strings.Join(strings.Fields(string(out)), " "), strings.Join(strings.Fields(told(c)), " ")
	// What is not printable is escaped in ways of its own.
	if strings.IndexFunc(ours, func(r rune) bool { return r > unicode.MaxASCII || !unicode.IsPrint(r) && r != 0 }) >= 0 {
		return
	}
	for part := range strings.SplitSeq(ours, "; ") {
		if !strings.Contains(theirs, part) {
			t.Errorf("%+v: ssh-keygen reads no %q in:\n%s", c, part, out)
		}
	}
}

// told is the certificate in ssh-keygen's words, in parts.
func told(c *sshagent.Certificate) string {
	principals := "(none)"
	if len(c.Principals) > 0 {
		principals = strings.Join(c.Principals, " ")
	}
	return fmt.Sprintf("Type: %s %s certificate; Key ID: %q Serial: %d Valid:; Principals: %s Critical Options: %s Extensions: %s",
		c.Format, c.Type, c.KeyID, c.Serial, principals, names(c.CriticalOptions), names(c.Extensions))
}

func names(options []sshagent.Option) string {
	if len(options) == 0 {
		return "(none)"
	}
	var all []string
	for _, o := range options {
		all = append(all, o.Name)
		if value, ok := o.Value(); ok {
			all = append(all, value)
		}
	}
	return strings.Join(all, " ")
}
