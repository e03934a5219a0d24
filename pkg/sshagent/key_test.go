package sshagent_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/splitvault/splitvault/pkg/sshagent"
	"github.com/splitvault/splitvault/pkg/sshagent/agenttest"
)

// mpint of n bytes, as short as they can be written.
func mpint(n int) string { return "\x00" + strings.Repeat("\xb1", n) }

// plainKeys are well-formed keys of every known format.
func plainKeys() map[string][]byte {
	point := func(n int) string { return "\x04" + strings.Repeat("\x55", 2*n) }
	return map[string][]byte{
		sshagent.FormatEd25519:   agenttest.Strings("ssh-ed25519", strings.Repeat("k", 32)),
		sshagent.FormatRSA:       agenttest.Strings("ssh-rsa", "\x01\x00\x01", mpint(256)),
		sshagent.FormatECDSA256:  agenttest.Strings("ecdsa-sha2-nistp256", "nistp256", point(32)),
		sshagent.FormatECDSA384:  agenttest.Strings("ecdsa-sha2-nistp384", "nistp384", point(48)),
		sshagent.FormatECDSA521:  agenttest.Strings("ecdsa-sha2-nistp521", "nistp521", point(66)),
		sshagent.FormatSKEd25519: agenttest.Strings("sk-ssh-ed25519@openssh.com", strings.Repeat("k", 32), "ssh:"),
		sshagent.FormatSKECDSA:   agenttest.Strings("sk-ecdsa-sha2-nistp256@openssh.com", "nistp256", point(32), "ssh:"),
		sshagent.FormatDSA:       agenttest.Strings("ssh-dss", mpint(128), mpint(20), mpint(128), mpint(128)),
	}
}

// certify wraps a plain key into a certificate with a signature of no worth.
func certify(plain []byte, ca []byte) []byte {
	n := binary.BigEndian.Uint32(plain)
	format := string(plain[4 : 4+n])
	fields := plain[4+n:]
	b := agenttest.Strings(strings.TrimSuffix(format, "@openssh.com")+"-cert-v01@openssh.com", strings.Repeat("n", 32))
	b = append(b, fields...)
	b = binary.BigEndian.AppendUint64(b, 7)
	b = binary.BigEndian.AppendUint32(b, 1)
	b = append(b, agenttest.Strings("id", string(agenttest.Strings("alice", "bob")))...)
	b = binary.BigEndian.AppendUint64(b, 1)
	b = binary.BigEndian.AppendUint64(b, 1<<63)
	command := string(agenttest.Strings("ls"))
	b = append(b, agenttest.Strings(string(agenttest.Strings("force-command", command)), string(agenttest.Strings("permit-pty", "")), "", string(ca))...)
	return append(b, agenttest.Strings(string(agenttest.Strings("ssh-ed25519", strings.Repeat("s", 64))))...)
}

func TestKnownKeysAreRead(t *testing.T) {
	t.Parallel()
	ca := plainKeys()[sshagent.FormatEd25519]
	for format, blob := range plainKeys() {
		k, err := sshagent.ParseKey(blob)
		if err != nil {
			t.Errorf("%s: %v", format, err)
			continue
		}
		if k.Format != format || k.Plain != format || !k.Known || k.Certificate || k.Cert != nil {
			t.Errorf("%s: %+v", format, k)
		}
		if k.SK != strings.HasPrefix(format, "sk-") || k.DSA != (format == "ssh-dss") {
			t.Errorf("%s: SK %v, DSA %v", format, k.SK, k.DSA)
		}
		if !k.Is(blob) || k.Is(nil) || k.Is(blob[1:]) || !bytes.Equal(k.PlainBlob(), blob) || k.Fingerprint() != k.PlainFingerprint() {
			t.Errorf("%s: blob", format)
		}
		c, err := sshagent.ParseKey(certify(blob, ca))
		if err != nil {
			t.Errorf("certificate of %s: %v", format, err)
			continue
		}
		want := strings.TrimSuffix(format, "@openssh.com") + "-cert-v01@openssh.com"
		if c.Format != want || c.Plain != format || !c.Known || !c.Certificate || c.SK != k.SK || c.DSA != k.DSA {
			t.Errorf("certificate of %s: %+v", format, c)
		}
		if !bytes.Equal(c.PlainBlob(), blob) || c.PlainFingerprint() != k.Fingerprint() || c.Fingerprint() == k.Fingerprint() {
			t.Errorf("certificate of %s: inner key differs", format)
		}
		again := append(c.Cert.Encode(), agenttest.Strings(c.Cert.Signature)...)
		if !bytes.Equal(again, c.Blob) {
			t.Errorf("certificate of %s: not the same encoded again", format)
		}
	}
}

func TestEveryCutOfAKeyIsRefused(t *testing.T) {
	t.Parallel()
	all := plainKeys()
	ca := all[sshagent.FormatEd25519]
	for format, blob := range plainKeys() {
		all["certificate of "+format] = certify(blob, ca)
	}
	for name, blob := range all {
		for n := range blob {
			k, err := sshagent.ParseKey(blob[:n])
			if err == nil {
				t.Errorf("%s cut to %d of %d bytes: taken as %q", name, n, len(blob), k.Format)
			}
		}
		if _, err := sshagent.ParseKey(append(bytes.Clone(blob), 0)); !errors.Is(err, sshagent.ErrMalformed) {
			t.Errorf("%s with a byte more: %v", name, err)
		}
	}
}

func TestMalformedKeysAreRefused(t *testing.T) {
	t.Parallel()
	ed := plainKeys()[sshagent.FormatEd25519]
	cert := certify(ed, ed)
	replace := func(old, with string) []byte {
		if !bytes.Contains(cert, []byte(old)) {
			t.Fatalf("%q is not in the certificate", old)
		}
		return bytes.Replace(cert, []byte(old), []byte(with), 1)
	}
	many := strings.Repeat(string(agenttest.Strings("p")), 257)
	for name, blob := range map[string][]byte{
		"no format":                    agenttest.Strings("", "x"),
		"format with a space":          agenttest.Strings("ssh ed25519", "x"),
		"format with a comma":          agenttest.Strings("a,b", "x"),
		"format with a newline":        agenttest.Strings("ssh-ed25519\n", "x"),
		"format not ASCII":             agenttest.Strings("ssh-\xed", "x"),
		"format of 65 bytes":           agenttest.Strings(strings.Repeat("f", 65), "x"),
		"ed25519 of 31 bytes":          agenttest.Strings("ssh-ed25519", strings.Repeat("k", 31)),
		"ed25519 of 33 bytes":          agenttest.Strings("ssh-ed25519", strings.Repeat("k", 33)),
		"rsa modulus zero":             agenttest.Strings("ssh-rsa", "\x03", ""),
		"rsa modulus zero, spelled":    agenttest.Strings("ssh-rsa", "\x03", "\x00"),
		"rsa modulus negative":         agenttest.Strings("ssh-rsa", "\x03", strings.Repeat("\xb1", 256)),
		"rsa exponent negative":        agenttest.Strings("ssh-rsa", "\x83", mpint(256)),
		"rsa modulus, a needless zero": agenttest.Strings("ssh-rsa", "\x03", "\x00\x71"),
		"rsa modulus of 16392 bits":    agenttest.Strings("ssh-rsa", "\x03", mpint(2049)),
		"ecdsa of another curve":       agenttest.Strings("ecdsa-sha2-nistp256", "nistp384", "\x04"+strings.Repeat("\x55", 64)),
		"ecdsa point compressed":       agenttest.Strings("ecdsa-sha2-nistp256", "nistp256", "\x02"+strings.Repeat("\x55", 32)),
		"ecdsa point of a hybrid form": agenttest.Strings("ecdsa-sha2-nistp256", "nistp256", "\x06"+strings.Repeat("\x55", 64)),
		"ecdsa point too short":        agenttest.Strings("ecdsa-sha2-nistp256", "nistp256", "\x04"+strings.Repeat("\x55", 63)),
		"sk without application":       agenttest.Strings("sk-ssh-ed25519@openssh.com", strings.Repeat("k", 32)),
		"certificate of type 3":        replace("\x00\x00\x00\x01\x00\x00\x00\x02id", "\x00\x00\x00\x03\x00\x00\x00\x02id"),
		"principals cut":               replace("\x00\x00\x00\x03bob", "\x00\x00\x00\x04bob"),
		"option without data":          replace("\x00\x00\x00\x0apermit-pty\x00\x00\x00\x00", "\x00\x00\x00\x0epermit-ptyXXXX"),
		"signed by a certificate":      certify(ed, cert),
		"signed by nothing":            certify(ed, nil),
		"257 principals":               replace(string(agenttest.Strings(string(agenttest.Strings("alice", "bob")))), string(agenttest.Strings(many))),
	} {
		if k, err := sshagent.ParseKey(blob); !errors.Is(err, sshagent.ErrMalformed) {
			t.Errorf("%s: got %q, %v", name, k.Format, err)
		}
	}
}

func TestUnknownFormatsStayOpaque(t *testing.T) {
	t.Parallel()
	for format, cert := range map[string]bool{
		"ssh-mldsa44-ed25519@openssh.com":          false,
		"ssh-mldsa44-ed25519-cert-v01@openssh.com": true,
		"ssh-ed448":               false,
		"rsa-sha2-256":            false,
		"SSH-RSA":                 false,
		"ssh-ed25519@openssh.com": false,
		"sk-ssh-ed25519":          false,
		"-cert-v01@openssh.com":   true,
		"sk-ssh-ed25519@openssh.com-cert-v01@openssh.com": true,
	} {
		blob := agenttest.Strings(format, "opaque")
		k, err := sshagent.ParseKey(blob)
		if err != nil || k.Known || k.Certificate != cert || k.Format != format || k.Cert != nil || !k.Is(k.PlainBlob()) {
			t.Errorf("%s: %+v, %v", format, k, err)
		}
	}
}

func TestFlagsOfEveryKey(t *testing.T) {
	t.Parallel()
	ca := plainKeys()[sshagent.FormatEd25519]
	for format, plain := range plainKeys() {
		for what, blob := range map[string][]byte{"plain": plain, "certificate": certify(plain, ca)} {
			k, err := sshagent.ParseKey(blob)
			if err != nil {
				t.Fatal(err)
			}
			for _, flags := range []uint32{0, 1, 2, 3, 4, 5, 6, 7, 8, 0x80000000, 0xffffffff} {
				want := flags == 0
				if format == sshagent.FormatRSA {
					want = flags == sshagent.FlagRSASHA256 || flags == sshagent.FlagRSASHA512
				}
				if err := k.CheckFlags(flags); (err == nil) != want {
					t.Errorf("%s %s, flags %#x: %v", what, format, flags, err)
				}
			}
		}
	}
}
