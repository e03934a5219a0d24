package sshagent_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/splitvault/splitvault/pkg/sshagent"
	"github.com/splitvault/splitvault/pkg/sshagent/agenttest"
)

// loginParts are the fields of a login in their order, so that a test can bend one.
type loginParts struct {
	session, kind, user, service, method, signed, algorithm, key, hostKey string
}

func (p loginParts) bytes() []byte {
	b := []byte(str(p.session) + p.kind + str(p.user, p.service, p.method) + p.signed + str(p.algorithm, p.key))
	if p.method == sshagent.MethodHostbound {
		b = append(b, str(p.hostKey)...)
	}
	return b
}

func TestLoginsMustBeExact(t *testing.T) {
	t.Parallel()
	keys := plainKeys()
	ed, host := string(keys[sshagent.FormatEd25519]), string(keys[sshagent.FormatECDSA256])
	other := strings.Replace(ed, "kkkk", "kkkl", 1)
	k, err := sshagent.ParseKey([]byte(ed))
	if err != nil {
		t.Fatal(err)
	}
	plain := loginParts{strings.Repeat("H", 32), "\x32", "git", "ssh-connection", "publickey", "\x01", "ssh-ed25519", ed, ""}
	bound := plain
	bound.method, bound.hostKey = sshagent.MethodHostbound, host
	certOf := func(plain string) string { return string(certify([]byte(plain), keys[sshagent.FormatEd25519])) }
	bend := func(p loginParts, f func(*loginParts)) []byte { f(&p); return p.bytes() }
	for _, test := range []struct {
		name string
		data []byte
		want bool
	}{
		{"plain", plain.bytes(), true},
		{"hostbound", bound.bytes(), true},
		{"session id of 20 bytes", bend(plain, func(p *loginParts) { p.session = strings.Repeat("H", 20) }), true},
		{"session id of 128 bytes", bend(plain, func(p *loginParts) { p.session = strings.Repeat("H", 128) }), true},
		{"session id of 129 bytes", bend(plain, func(p *loginParts) { p.session = strings.Repeat("H", 129) }), false},
		{"no session id", bend(plain, func(p *loginParts) { p.session = "" }), false},
		{"session id without a length, as old servers want", plain.bytes()[4:], false},
		{"no user", bend(plain, func(p *loginParts) { p.user = "" }), true},
		{"user with a newline and markup", bend(plain, func(p *loginParts) { p.user = "root\n<b>" }), true},
		{"user with a zero byte at its end, which is no part of the name to OpenSSH", bend(plain, func(p *loginParts) { p.user = "git\x00" }), false},
		{"user with a zero byte", bend(plain, func(p *loginParts) { p.user = "g\x00t" }), false},
		{"message 51", bend(plain, func(p *loginParts) { p.kind = "\x33" }), false},
		{"service of pam_ssh_agent_auth", bend(plain, func(p *loginParts) { p.service = "pam_ssh_agent_auth" }), false},
		{"service ssh-userauth", bend(plain, func(p *loginParts) { p.service = "ssh-userauth" }), false},
		{"service with a zero byte", bend(plain, func(p *loginParts) { p.service = "ssh-connection\x00" }), false},
		{"method hostbased", bend(plain, func(p *loginParts) { p.method = "hostbased" }), false},
		{"method password", bend(plain, func(p *loginParts) { p.method = "password" }), false},
		{"method hostbound v01", bend(plain, func(p *loginParts) { p.method = "publickey-hostbound-v01@openssh.com" }), false},
		{"not signed", bend(plain, func(p *loginParts) { p.signed = "\x00" }), false},
		{"signed is 2", bend(plain, func(p *loginParts) { p.signed = "\x02" }), false},
		{"algorithm of another key", bend(plain, func(p *loginParts) { p.algorithm = "rsa-sha2-512" }), false},
		{"algorithm of a certificate", bend(plain, func(p *loginParts) { p.algorithm = "ssh-ed25519-cert-v01@openssh.com" }), false},
		{"another key", bend(plain, func(p *loginParts) { p.key = other }), false},
		{"no key", bend(plain, func(p *loginParts) { p.key = "" }), false},
		{"a certificate of the key", bend(plain, func(p *loginParts) { p.key, p.algorithm = certOf(ed), "ssh-ed25519-cert-v01@openssh.com" }), true},
		{"a certificate, plain algorithm", bend(plain, func(p *loginParts) { p.key = certOf(ed) }), false},
		{"a certificate of another key", bend(plain, func(p *loginParts) { p.key, p.algorithm = certOf(other), "ssh-ed25519-cert-v01@openssh.com" }), false},
		{"plain with a host key after it", append(plain.bytes(), str(host)...), false},
		{"hostbound without a host key", bend(bound, func(p *loginParts) { p.hostKey = "" }), false},
		{"hostbound, host key is no key", bend(bound, func(p *loginParts) { p.hostKey = "example.org" }), false},
		{"hostbound, host key of an unknown format", bend(bound, func(p *loginParts) { p.hostKey = str("ssh-new", "x") }), true},
		{"hostbound, host certificate", bend(bound, func(p *loginParts) { p.hostKey = certOf(host) }), true},
		{"hostbound and a byte", append(bound.bytes(), 0), false},
		{"cut", plain.bytes()[:len(plain.bytes())-1], false},
	} {
		d := sshagent.ParseSignData(test.data, k, 0)
		if (d.Kind == sshagent.KindLogin) != test.want {
			t.Errorf("%s: got kind %v (%s)", test.name, d.Kind, d.Reason)
		}
		if !test.want && (d.Kind != sshagent.KindRaw || d.Purpose(false) != sshagent.PurposeRaw || d.Reason == "") {
			t.Errorf("%s: got %v without a reason", test.name, d.Purpose(false))
		}
		if d.Login != nil && !bytes.Equal(d.Encode(), test.data) {
			t.Errorf("%s: not the same encoded again", test.name)
		}
	}
	d := sshagent.ParseSignData(plain.bytes(), k, 0)
	if d.Purpose(false) != sshagent.PurposeLogin || d.Purpose(true) != sshagent.PurposeForwardedLogin {
		t.Errorf("got %q and %q", d.Purpose(false), d.Purpose(true))
	}
	if got := sshagent.ParseSignData(plain.bytes(), k, 2); got.Kind != sshagent.KindRaw {
		t.Errorf("ed25519 login with flags: got %v", got.Kind)
	}
	c, err := sshagent.ParseKey([]byte(certOf(ed)))
	if err != nil {
		t.Fatal(err)
	}
	if got := sshagent.ParseSignData(plain.bytes(), c, 0); got.Kind != sshagent.KindRaw {
		t.Errorf("certificate in the request, its plain key in the data: got %v", got.Kind)
	}
}

func TestAlgorithmOfALoginFitsKeyAndFlags(t *testing.T) {
	t.Parallel()
	ca := plainKeys()[sshagent.FormatEd25519]
	algorithms := []string{"rsa-sha2-256", "rsa-sha2-512", "rsa-sha2-256-cert-v01@openssh.com", "rsa-sha2-512-cert-v01@openssh.com"}
	for format, blob := range plainKeys() {
		cert, err := sshagent.ParseKey(certify(blob, ca))
		if err != nil {
			t.Fatal(err)
		}
		algorithms = append(algorithms, format, cert.Format)
	}
	for format, blob := range plainKeys() {
		for _, key := range [][]byte{blob, certify(blob, ca)} {
			k, err := sshagent.ParseKey(key)
			if err != nil {
				t.Fatal(err)
			}
			want := map[uint32]string{0: k.Format}
			if format == sshagent.FormatRSA {
				suffix := strings.TrimPrefix(k.Format, "ssh-rsa")
				want = map[uint32]string{2: "rsa-sha2-256" + suffix, 4: "rsa-sha2-512" + suffix}
			}
			for _, flags := range []uint32{0, 1, 2, 4, 6} {
				for _, algorithm := range algorithms {
					p := loginParts{"session", "\x32", "git", "ssh-connection", "publickey", "\x01", algorithm, string(key), ""}
					d := sshagent.ParseSignData(p.bytes(), k, flags)
					if got := d.Kind == sshagent.KindLogin; got != (algorithm == want[flags]) {
						t.Errorf("%s, flags %d, algorithm %s: login is %v", k.Format, flags, algorithm, got)
					}
					if d.Login != nil && d.Login.Algorithm != algorithm {
						t.Errorf("%s: algorithm %q", k.Format, d.Login.Algorithm)
					}
				}
			}
		}
	}
}

func TestFileSignaturesMustBeExact(t *testing.T) {
	t.Parallel()
	k, err := sshagent.ParseKey(plainKeys()[sshagent.FormatEd25519])
	if err != nil {
		t.Fatal(err)
	}
	h32, h64 := strings.Repeat("h", 32), strings.Repeat("h", 64)
	for _, test := range []struct {
		name, data string
		want       bool
	}{
		{"git", "SSHSIG" + str("git", "", "sha512", h64), true},
		{"file with sha256", "SSHSIG" + str("file", "", "sha256", h32), true},
		{"no namespace", "SSHSIG" + str("", "", "sha512", h64), false},
		{"namespace with a zero byte", "SSHSIG" + str("git\x00", "", "sha512", h64), false},
		{"reserved in use", "SSHSIG" + str("git", "x", "sha512", h64), false},
		{"md5", "SSHSIG" + str("git", "", "md5", "hhhhhhhhhhhhhhhh"), false},
		{"sha512 of 32 bytes", "SSHSIG" + str("git", "", "sha512", h32), false},
		{"sha256 of 64 bytes", "SSHSIG" + str("git", "", "sha256", h64), false},
		{"a byte more", "SSHSIG" + str("git", "", "sha512", h64) + "\x00", false},
		{"cut", "SSHSIG" + str("git", "", "sha512", h64)[:80], false},
		{"magic in small letters", "sshsig" + str("git", "", "sha512", h64), false},
		{"the armoured blob's form, with version and key", "SSHSIG\x00\x00\x00\x01" + str("key", "git", "", "sha512", "sig"), false},
	} {
		d := sshagent.ParseSignData([]byte(test.data), k, 0)
		if (d.Kind == sshagent.KindSSHSIG) != test.want || (!test.want && d.Kind != sshagent.KindRaw) {
			t.Errorf("%s: got kind %v", test.name, d.Kind)
		}
		if test.want && (string(d.Encode()) != test.data || d.Purpose(true) != sshagent.PurposeSSHSIG) {
			t.Errorf("%s: not the same encoded again", test.name)
		}
	}
}

func TestCertificatesToBeSigned(t *testing.T) {
	t.Parallel()
	keys := plainKeys()
	ca := keys[sshagent.FormatEd25519]
	k, err := sshagent.ParseKey(ca)
	if err != nil {
		t.Fatal(err)
	}
	signature := len(str(str("ssh-ed25519", strings.Repeat("s", 64))))
	for format, blob := range keys {
		whole := certify(blob, ca)
		data := whole[:len(whole)-signature]
		d := sshagent.ParseSignData(data, k, 0)
		if d.Kind != sshagent.KindCertificate || !bytes.Equal(d.Encode(), data) || d.Purpose(false) != sshagent.PurposeCertificate {
			t.Errorf("%s: got kind %v (%s)", format, d.Kind, d.Reason)
			continue
		}
		if c := d.Certificate; !bytes.Equal(c.PlainBlob, blob) || c.KeyID != "id" || c.Serial != 7 || c.Signature != nil {
			t.Errorf("%s: got %+v", format, c)
		}
		for name, bent := range map[string][]byte{
			"with its signature":       whole,
			"a byte more":              append(bytes.Clone(data), 0),
			"cut":                      data[:len(data)-1],
			"of an unknown format":     bytes.Replace(data, []byte("-cert-v01@"), []byte("-cert-v02@"), 1),
			"key ID with a zero byte":  bytes.Replace(data, []byte(str("id")), []byte(str("i\x00")), 1),
			"naming another authority": certify(blob, keys[sshagent.FormatECDSA256])[:len(data)],
		} {
			if got := sshagent.ParseSignData(bent, k, 0); got.Kind != sshagent.KindRaw {
				t.Errorf("%s %s: got kind %v", format, name, got.Kind)
			}
		}
	}
	otherCA, err := sshagent.ParseKey(keys[sshagent.FormatECDSA256])
	if err != nil {
		t.Fatal(err)
	}
	whole := certify(ca, ca)
	if got := sshagent.ParseSignData(whole[:len(whole)-signature], otherCA, 0); got.Kind != sshagent.KindRaw {
		t.Errorf("request by another key than the authority: got kind %v", got.Kind)
	}
}

func TestUseAsAHostKeyIsSeen(t *testing.T) {
	t.Parallel()
	ed := plainKeys()[sshagent.FormatEd25519]
	k, err := sshagent.ParseKey(ed)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 200 {
		want := n == 20 || n == 32 || n == 48 || n == 64
		d := sshagent.ParseSignData(bytes.Repeat([]byte("h"), n), k, 0)
		if (d.Kind == sshagent.KindHostKey) != want || (!want && d.Kind != sshagent.KindRaw) {
			t.Errorf("%d bytes: got kind %v", n, d.Kind)
		}
	}
	proof := str("hostkeys-prove-00@openssh.com", "session", string(ed))
	d := sshagent.ParseSignData([]byte(proof), k, 0)
	if d.Kind != sshagent.KindHostKey || d.HostKeyProof == nil || string(d.Encode()) != proof || d.Purpose(false) != sshagent.PurposeHostKey {
		t.Errorf("proof: got kind %v", d.Kind)
	}
	for name, data := range map[string]string{
		"a byte more": proof + "\x00", "no session id": str("hostkeys-prove-00@openssh.com", "", string(ed)),
		"long session id": str("hostkeys-prove-00@openssh.com", strings.Repeat("s", 129), string(ed)), "another version": str("hostkeys-prove-01@openssh.com", "session", string(ed)),
	} {
		if got := sshagent.ParseSignData([]byte(data), k, 0); got.Kind != sshagent.KindRaw {
			t.Errorf("proof with %s: got kind %v", name, got.Kind)
		}
	}
}

func TestBindingsAreParsedStrictly(t *testing.T) {
	t.Parallel()
	const name = sshagent.ExtensionBind
	for _, test := range []struct {
		name, body string
		want       bool
	}{
		{"good", str(name, "key", "sid", "sig") + "\x00", true},
		{"forwarding", str(name, "key", "sid", "sig") + "\x01", true},
		{"session id of 128 bytes", str(name, "key", strings.Repeat("s", 128), "sig") + "\x00", true},
		{"session id of 129 bytes", str(name, "key", strings.Repeat("s", 129), "sig") + "\x00", false},
		{"no session id", str(name, "key", "", "sig") + "\x00", false},
		{"no host key", str(name, "", "sid", "sig") + "\x00", false},
		{"forwarding is 2", str(name, "key", "sid", "sig") + "\x02", false},
		{"forwarding is missing", str(name, "key", "sid", "sig"), false},
		{"a byte more", str(name, "key", "sid", "sig") + "\x00\x00", false},
		{"another name", str("session-bind@openssh.org", "key", "sid", "sig") + "\x00", false},
		{"only the name", str(name), false},
	} {
		f := agenttest.Frame(t, []byte("\x1b"+test.body))
		b, err := sshagent.ParseBind(f)
		if (err == nil) != test.want {
			t.Errorf("%s: got %v", test.name, err)
		}
		if err != nil {
			continue
		}
		if again, err := b.Frame(); err != nil || !bytes.Equal(again.Bytes(), f.Bytes()) {
			t.Errorf("%s: not the same encoded again, %v", test.name, err)
		}
	}
	if _, err := sshagent.ParseBind(sshagent.RequestIdentities()); err == nil {
		t.Error("a list request is a binding")
	}
}
