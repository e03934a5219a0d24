package sshagent_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/splitvault/splitvault/pkg/sshagent"
	"github.com/splitvault/splitvault/pkg/sshagent/agenttest"
)

// signReply wraps a format and what follows it into a SIGN_RESPONSE.
func signReply(tb testing.TB, format, rest string) sshagent.Frame {
	tb.Helper()
	sig := string(agenttest.Strings(format)) + rest
	return agenttest.Frame(tb, append([]byte{14}, agenttest.Strings(sig)...))
}

func str(parts ...string) string { return string(agenttest.Strings(parts...)) }

// rs is an ECDSA signature with numbers of n bytes.
func rs(n int) string { return str(str(strings.Repeat("\x11", n), strings.Repeat("\x11", n))) }

func TestSignaturesFitTheirKey(t *testing.T) {
	t.Parallel()
	const sk = "\x01\x00\x00\x00\x07"
	ed64, rsa256, dss := str(strings.Repeat("s", 64)), str(strings.Repeat("s", 256)), str(strings.Repeat("s", 40))
	goods := map[string]struct {
		format, rest string
		flags        uint32
	}{
		sshagent.FormatEd25519:   {"ssh-ed25519", ed64, 0},
		sshagent.FormatRSA:       {"rsa-sha2-512", rsa256, 4},
		sshagent.FormatECDSA256:  {"ecdsa-sha2-nistp256", rs(32), 0},
		sshagent.FormatECDSA384:  {"ecdsa-sha2-nistp384", rs(48), 0},
		sshagent.FormatECDSA521:  {"ecdsa-sha2-nistp521", rs(66), 0},
		sshagent.FormatSKEd25519: {"sk-ssh-ed25519@openssh.com", ed64 + sk, 0},
		sshagent.FormatSKECDSA:   {"sk-ecdsa-sha2-nistp256@openssh.com", rs(32) + sk, 0},
		sshagent.FormatDSA:       {"ssh-dss", dss, 0},
	}
	ca := plainKeys()[sshagent.FormatEd25519]
	for format, plain := range plainKeys() {
		for what, blob := range map[string][]byte{"plain": plain, "certificate": certify(plain, ca)} {
			k, err := sshagent.ParseKey(blob)
			if err != nil {
				t.Fatal(err)
			}
			for other, s := range goods {
				err := sshagent.CheckSignReply(signReply(t, s.format, s.rest), k, goods[format].flags)
				if (err == nil) != (other == format) {
					t.Errorf("%s %s, signature of %s: %v", what, format, other, err)
				}
			}
			good := goods[format]
			for name, rest := range map[string]string{
				"nothing": "", "a byte more": good.rest + "\x00", "a byte less": good.rest[:len(good.rest)-1],
				"empty": str(""), "sk counter": good.rest + sk, "no numbers": str(str("", "")),
			} {
				if err := sshagent.CheckSignReply(signReply(t, good.format, rest), k, good.flags); err == nil {
					t.Errorf("%s %s: signature with %s is taken", what, format, name)
				}
			}
		}
	}
}

func TestWeakAndForeignSignaturesAreRefused(t *testing.T) {
	t.Parallel()
	keys := plainKeys()
	sig := func(n int) string { return str(strings.Repeat("s", n)) }
	for _, test := range []struct {
		name, key, format, rest string
		flags                   uint32
		good                    bool
	}{
		{"rsa with SHA-1, asked for", sshagent.FormatRSA, "ssh-rsa", sig(256), 0, false},
		{"rsa with SHA-1 though SHA-2 was asked for", sshagent.FormatRSA, "ssh-rsa", sig(256), 2, false},
		{"rsa with the other hash", sshagent.FormatRSA, "rsa-sha2-512", sig(256), 2, false},
		{"rsa with both flags", sshagent.FormatRSA, "rsa-sha2-512", sig(256), 6, false},
		{"rsa, a leading zero dropped", sshagent.FormatRSA, "rsa-sha2-256", sig(255), 2, true},
		{"rsa, half of it", sshagent.FormatRSA, "rsa-sha2-256", sig(128), 2, false},
		{"rsa, longer than the modulus", sshagent.FormatRSA, "rsa-sha2-256", sig(257), 2, false},
		{"ed25519 with flags", sshagent.FormatEd25519, "ssh-ed25519", sig(64), 2, false},
		{"ecdsa with a sign byte", sshagent.FormatECDSA256, "ecdsa-sha2-nistp256", str(str("\x00"+strings.Repeat("\xf0", 32), "\x01")), 0, true},
		{"ecdsa negative", sshagent.FormatECDSA256, "ecdsa-sha2-nistp256", str(str(strings.Repeat("\xf0", 32), "\x01")), 0, false},
		{"ecdsa too long", sshagent.FormatECDSA256, "ecdsa-sha2-nistp256", rs(34), 0, false},
		{"ecdsa with a third number", sshagent.FormatECDSA256, "ecdsa-sha2-nistp256", str(str("\x01", "\x01", "\x01")), 0, false},
		{"webauthn for an sk key", sshagent.FormatSKECDSA, "webauthn-sk-ecdsa-sha2-nistp256@openssh.com", rs(32), 0, false},
	} {
		k, err := sshagent.ParseKey(keys[test.key])
		if err != nil {
			t.Fatal(err)
		}
		if err := sshagent.CheckSignReply(signReply(t, test.format, test.rest), k, test.flags); (err == nil) != test.good {
			t.Errorf("%s: got %v", test.name, err)
		}
	}
}

func TestSignatureEnvelopes(t *testing.T) {
	t.Parallel()
	k, err := sshagent.ParseKey(plainKeys()[sshagent.FormatEd25519])
	if err != nil {
		t.Fatal(err)
	}
	good := str(str("ssh-ed25519", strings.Repeat("s", 64)))
	for name, test := range map[string]struct {
		message string
		good    bool
	}{
		"good":                 {"\x0e" + good, true},
		"failure":              {"\x05", false},
		"list":                 {"\x0c" + good, false},
		"no body":              {"\x0e", false},
		"a byte after":         {"\x0e" + good + "\x00", false},
		"cut":                  {"\x0e" + good[:len(good)-1], false},
		"without the envelope": {"\x0e" + good[4:], false},
		"no format":            {"\x0e" + str(""), false},
	} {
		if err := sshagent.CheckSignReply(agenttest.Frame(t, []byte(test.message)), k, 0); (err == nil) != test.good {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if err := sshagent.CheckSignReply(sshagent.Frame{}, k, 0); err == nil {
		t.Error("zero frame is taken")
	}
}

func TestSignaturesOfUnknownFormats(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		key, format, rest string
		good              bool
	}{
		{"ssh-mldsa44-ed25519@openssh.com", "ssh-mldsa44-ed25519@openssh.com", "s", true},
		{"ssh-mldsa44-ed25519@openssh.com", "ssh-mldsa44-ed25519@openssh.com", "", false},
		{"ssh-mldsa44-ed25519@openssh.com", "ssh-ed25519", "s", false},
		{"ssh-mldsa44-ed25519-cert-v01@openssh.com", "ssh-mldsa44-ed25519@openssh.com", "s", true},
		{"ssh-mldsa-44-cert-v01@openssh.com", "ssh-mldsa-44", "s", true},
		{"ssh-mldsa-44-cert-v01@openssh.com", "ssh-mldsa-65", "s", false},
	} {
		k, err := sshagent.ParseKey(agenttest.Strings(test.key, "opaque"))
		if err != nil {
			t.Fatal(err)
		}
		if err := sshagent.CheckSignReply(signReply(t, test.format, test.rest), k, 0); (err == nil) != test.good {
			t.Errorf("%s signed as %s %q: got %v", test.key, test.format, test.rest, err)
		}
		if err := sshagent.CheckSignReply(signReply(t, test.format, test.rest), k, 2); err == nil {
			t.Errorf("%s with flags is taken", test.key)
		}
	}
}

func TestSignRequestsAreStrict(t *testing.T) {
	t.Parallel()
	good := "\x0d" + str("key", "data") + "\x00\x00\x00\x04"
	s, err := sshagent.ParseSignRequest(agenttest.Frame(t, []byte(good)))
	if err != nil || string(s.Key) != "key" || string(s.Data) != "data" || s.Flags != 4 {
		t.Errorf("got %q %q %d, %v", s.Key, s.Data, s.Flags, err)
	}
	for n := 1; n < len(good); n++ {
		if _, err := sshagent.ParseSignRequest(agenttest.Frame(t, []byte(good[:n]))); !errors.Is(err, sshagent.ErrMalformed) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
	for name, message := range map[string]string{
		"a byte more": good + "\x00", "list": "\x0b", "another type": "\x0e" + good[1:], "length of 4 GiB": "\x0d\xff\xff\xff\xff" + good[5:],
	} {
		if _, err := sshagent.ParseSignRequest(agenttest.Frame(t, []byte(message))); !errors.Is(err, sshagent.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBuildersRefuseWhatIsTooLarge(t *testing.T) {
	t.Parallel()
	big := make([]byte, sshagent.MaxRequest)
	if _, err := (sshagent.SignRequest{Data: big}).Frame(); !errors.Is(err, sshagent.ErrTooLarge) {
		t.Errorf("sign request: %v", err)
	}
	if _, err := (sshagent.SignRequest{Data: big[:len(big)-13]}).Frame(); err != nil {
		t.Errorf("sign request at the cap: %v", err)
	}
	if _, err := (sshagent.BindRequest{HostKey: big}).Frame(); !errors.Is(err, sshagent.ErrTooLarge) {
		t.Errorf("binding: %v", err)
	}
	list := []sshagent.Identity{{Blob: big}, {Blob: big}, {Blob: big}, {Blob: big}}
	if _, err := sshagent.IdentitiesReply(list); !errors.Is(err, sshagent.ErrTooLarge) {
		t.Errorf("list: %v", err)
	}
}
