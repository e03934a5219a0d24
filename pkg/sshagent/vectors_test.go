package sshagent_test

import (
	"bytes"
	"slices"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/splitvault/splitvault/pkg/sshagent"
	"github.com/splitvault/splitvault/pkg/sshagent/agenttest"
)

const vectors = "testdata/ssh-agent-frames.jsonl"

func TestRecordedRequestsAreClassified(t *testing.T) {
	t.Parallel()
	want := map[string][]sshagent.Class{
		"openssh92-hostbound-rsa512/1": {sshagent.Bind, sshagent.List, sshagent.Sign},
		"openssh92-plain-publickey/1":  {sshagent.Bind, sshagent.List, sshagent.Sign},
		"openssh92-cert/1":             {sshagent.Bind, sshagent.List, sshagent.Sign},
		"openssh92-certfile-plainkey/1": {
			sshagent.Bind, sshagent.List, sshagent.Sign,
		},
		"openssh92-forwarded-hop2/1": {sshagent.Bind, sshagent.List, sshagent.Sign},
		"openssh92-forwarded-hop2/3": {sshagent.Bind, sshagent.Bind, sshagent.List, sshagent.Sign},
		"git-commit-sign/1":          {sshagent.List, sshagent.Sign},
		"sshkeygen-U-ca-sign/1":      {sshagent.List, sshagent.Sign},
		"sshadd-T-raw/1":             {sshagent.Sign},
		"goxcrypto-publickey/1":      {sshagent.List, sshagent.Sign},
	}
	got := map[string][]sshagent.Class{}
	last := sshagent.Refuse
	for _, v := range agenttest.Vectors(t, vectors) {
		name := v.Case + "/" + string(rune('0'+v.Conn))
		if v.Reply {
			if !sshagent.Answers(last, v.Frame) {
				t.Errorf("%s: %v is no answer to %v", name, v.Frame.Type(), last)
			}
			continue
		}
		last = sshagent.Classify(v.Frame)
		got[name] = append(got[name], last)
	}
	if len(got) != len(want) {
		t.Errorf("got %d connections, want %d", len(got), len(want))
	}
	for name, classes := range want {
		if !slices.Equal(got[name], classes) {
			t.Errorf("%s: got %v, want %v", name, got[name], classes)
		}
	}
}

func TestRecordedFramesEncodeBack(t *testing.T) {
	t.Parallel()
	for i, v := range agenttest.Vectors(t, vectors) {
		var again sshagent.Frame
		var err error
		switch {
		case v.Frame.Type() == sshagent.TypeIdentitiesAnswer:
			var ids []sshagent.Identity
			if ids, err = sshagent.ParseIdentities(v.Frame); err == nil {
				again, err = sshagent.IdentitiesReply(ids)
			}
		case sshagent.Classify(v.Frame) == sshagent.Sign:
			var s sshagent.SignRequest
			if s, err = sshagent.ParseSignRequest(v.Frame); err == nil {
				again, err = s.Frame()
			}
		case sshagent.Classify(v.Frame) == sshagent.Bind:
			var b sshagent.BindRequest
			if b, err = sshagent.ParseBind(v.Frame); err == nil {
				again, err = b.Frame()
			}
		case v.Frame.Type() == sshagent.TypeSuccess:
			again = sshagent.Success()
		case v.Frame.Type() == sshagent.TypeRequestIdentities:
			again = sshagent.RequestIdentities()
		default:
			continue
		}
		if err != nil || !bytes.Equal(again.Bytes(), v.Frame.Bytes()) {
			t.Errorf("frame %d (%s, %v): not the same again, %v", i, v.Case, v.Frame.Type(), err)
		}
	}
}

func TestRecordedListHasTheFiveKeys(t *testing.T) {
	t.Parallel()
	want := []struct{ format, comment, fingerprint, plain string }{
		{"ssh-ed25519", "alice work key", "SHA256:PdWS4uoUvhIF+SBfguXs4xx7D1QjjB44k6y1Y4o6elI", ""},
		{"ssh-rsa", "rsa key", "SHA256:7Yy80fUSOm2oesjczSKzCKTPepxLaxD9nWtTtwuZzvU", ""},
		{"ssh-ed25519", "cert key", "SHA256:QDFG1QJt0hEF/aKtWkdKNkvkNeE3Yi2qLHxRWLxg4fM", ""},
		{
			"ssh-ed25519-cert-v01@openssh.com", "cert key", "SHA256:xDbSEUpFKF7LwZ3EWEUS0YH3AlWVsre1nfK+N4XVJs4",
			"SHA256:QDFG1QJt0hEF/aKtWkdKNkvkNeE3Yi2qLHxRWLxg4fM",
		},
		{"ssh-ed25519", "user CA", "SHA256:5bJzTgyX7Dz0AixlWUhkRZ8Z4AlJud4gvhyZhYvtpJQ", ""},
	}
	for _, v := range agenttest.Vectors(t, vectors) {
		if v.Frame.Type() != sshagent.TypeIdentitiesAnswer {
			continue
		}
		ids, err := sshagent.ParseIdentities(v.Frame)
		if err != nil || len(ids) != len(want) {
			t.Fatalf("%s: %d keys, %v", v.Case, len(ids), err)
		}
		for i, id := range ids {
			k, err := sshagent.ParseKey(id.Blob)
			if err != nil {
				t.Fatalf("%s: key %d: %v", v.Case, i, err)
			}
			if k.Format != want[i].format || string(id.Comment) != want[i].comment || k.Fingerprint() != want[i].fingerprint {
				t.Errorf("%s: key %d: got %s %q %s", v.Case, i, k.Format, id.Comment, k.Fingerprint())
			}
			if want[i].plain != "" && (!k.Certificate || k.PlainFingerprint() != want[i].plain || k.Plain != "ssh-ed25519") {
				t.Errorf("%s: key %d: inner key %s, want %s", v.Case, i, k.PlainFingerprint(), want[i].plain)
			}
		}
	}
}

// signed is a recorded sign request with what was parsed from it.
type signed struct {
	name    string
	key     sshagent.Key
	request sshagent.SignRequest
	data    sshagent.SignData
	reply   sshagent.Frame
}

func recordedSigns(tb testing.TB) []signed {
	tb.Helper()
	var all []signed
	for _, v := range agenttest.Vectors(tb, vectors) {
		if v.Frame.Type() == sshagent.TypeSignResponse {
			all[len(all)-1].reply = v.Frame
		}
		if v.Frame.Type() != sshagent.TypeSignRequest {
			continue
		}
		s, err := sshagent.ParseSignRequest(v.Frame)
		if err != nil {
			tb.Fatal(err)
		}
		k, err := sshagent.ParseKey(s.Key)
		if err != nil {
			tb.Fatal(err)
		}
		name := v.Case + "/" + string(rune('0'+v.Conn))
		all = append(all, signed{name: name, key: k, request: s, data: sshagent.ParseSignData(s.Data, k, s.Flags)})
	}
	return all
}

func TestRecordedDataIsWhatItIs(t *testing.T) {
	t.Parallel()
	type row struct {
		kind      sshagent.Kind
		size      int
		algorithm string
		hostbound bool
	}
	want := map[string]row{
		"openssh92-hostbound-rsa512/1":  {sshagent.KindLogin, 617, "rsa-sha2-512", true},
		"openssh92-plain-publickey/1":   {sshagent.KindLogin, 179, "ssh-ed25519", false},
		"openssh92-cert/1":              {sshagent.KindLogin, 685, "ssh-ed25519-cert-v01@openssh.com", true},
		"openssh92-certfile-plainkey/1": {sshagent.KindLogin, 685, "ssh-ed25519-cert-v01@openssh.com", true},
		"openssh92-forwarded-hop2/1":    {sshagent.KindLogin, 260, "ssh-ed25519", true},
		"openssh92-forwarded-hop2/3":    {sshagent.KindLogin, 260, "ssh-ed25519", true},
		"goxcrypto-publickey/1":         {sshagent.KindLogin, 147, "ssh-ed25519", false},
		"git-commit-sign/1":             {kind: sshagent.KindSSHSIG, size: 95},
		"sshkeygen-U-ca-sign/1":         {kind: sshagent.KindCertificate, size: 399},
		"sshadd-T-raw/1":                {kind: sshagent.KindRaw, size: 1024},
	}
	signs := recordedSigns(t)
	if len(signs) != len(want) {
		t.Errorf("got %d sign requests, want %d", len(signs), len(want))
	}
	for _, s := range signs {
		got := row{kind: s.data.Kind, size: len(s.request.Data)}
		if s.data.Login != nil {
			got.algorithm, got.hostbound = s.data.Login.Algorithm, s.data.Login.Hostbound()
		}
		if got != want[s.name] {
			t.Errorf("%s: got %+v, want %+v (%s)", s.name, got, want[s.name], s.data.Reason)
		}
		if s.data.Kind != sshagent.KindRaw && !bytes.Equal(s.data.Encode(), s.request.Data) {
			t.Errorf("%s: data is not the same encoded again", s.name)
		}
		if err := s.key.CheckFlags(s.request.Flags); err != nil {
			t.Errorf("%s: %v", s.name, err)
		}
		if err := sshagent.CheckSignReply(s.reply, s.key, s.request.Flags); err != nil {
			t.Errorf("%s: %v", s.name, err)
		}
		verifyReply(t, s.request, s.reply)
	}
}

func TestRecordedDetails(t *testing.T) {
	t.Parallel()
	for _, s := range recordedSigns(t) {
		switch s.name {
		case "git-commit-sign/1":
			if sig := s.data.SSHSIG; sig.Namespace != "git" || sig.HashAlg != "sha512" || len(sig.Hash) != 64 {
				t.Errorf("%s: %q %q %d", s.name, sig.Namespace, sig.HashAlg, len(sig.Hash))
			}
		case "sshkeygen-U-ca-sign/1":
			c := s.data.Certificate
			if c.Type != sshagent.UserCert || c.Serial != 42 || c.KeyID != "by-agent" || !slices.Equal(c.Principals, []string{"bob", "alice"}) {
				t.Errorf("%s: %v %d %q %q", s.name, c.Type, c.Serial, c.KeyID, c.Principals)
			}
			if len(c.CriticalOptions) != 1 || c.CriticalOptions[0].Name != "force-command" {
				t.Fatalf("%s: options %q", s.name, c.CriticalOptions)
			}
			if command, ok := c.CriticalOptions[0].Value(); !ok || command == "" {
				t.Errorf("%s: command %q", s.name, command)
			}
		case "goxcrypto-publickey/1":
			if n := len(s.data.Login.SessionID); n != 32 {
				t.Errorf("%s: session id of %d bytes", s.name, n)
			}
		case "openssh92-certfile-plainkey/1":
			if s.key.Certificate || bytes.Equal(s.data.Login.Key, s.key.Blob) {
				t.Errorf("%s: want a plain key in the request and its certificate in the data", s.name)
			}
		}
	}
}

// verifyReply checks a signature with x/crypto, which knows nothing of ours.
func verifyReply(t *testing.T, s sshagent.SignRequest, reply sshagent.Frame) {
	t.Helper()
	pub, err := ssh.ParsePublicKey(s.Key)
	if err != nil {
		t.Fatal(err)
	}
	var outer struct{ Sig []byte }
	var sig ssh.Signature
	if err := ssh.Unmarshal(reply.Body(), &outer); err != nil {
		t.Fatal(err)
	}
	if err := ssh.Unmarshal(outer.Sig, &sig); err != nil {
		t.Fatal(err)
	}
	if err := pub.Verify(s.Data, &sig); err != nil {
		t.Errorf("signature does not verify: %v", err)
	}
}
