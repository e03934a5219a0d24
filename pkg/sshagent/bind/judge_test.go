package bind_test

import (
	"bytes"
	"testing"

	"github.com/splitvault/splitvault/pkg/sshagent"
	"github.com/splitvault/splitvault/pkg/sshagent/agenttest"
	"github.com/splitvault/splitvault/pkg/sshagent/bind"
)

func TestRecordedLoginsAreJudged(t *testing.T) {
	t.Parallel()
	type row struct {
		grade     bind.Grade
		forwarded bool
		hops      int
		frames    int
	}
	want := map[string]row{
		"openssh92-hostbound-rsa512/1":  {bind.Hostbound, false, 0, 1},
		"openssh92-plain-publickey/1":   {bind.BoundVerified, false, 0, 1},
		"openssh92-cert/1":              {bind.Hostbound, false, 0, 1},
		"openssh92-certfile-plainkey/1": {bind.Hostbound, false, 0, 1},
		"openssh92-forwarded-hop2/1":    {bind.Hostbound, false, 0, 1},
		"openssh92-forwarded-hop2/3":    {bind.Hostbound, true, 1, 2},
		"goxcrypto-publickey/1":         {bind.Unbound, false, 0, 0},
	}
	lists := map[string]*bind.List{}
	judged := 0
	for _, v := range agenttest.Vectors(t, vectors) {
		name := v.Case + "/" + string(rune('0'+v.Conn))
		if lists[name] == nil {
			lists[name] = &bind.List{}
		}
		l := lists[name]
		switch {
		case v.Reply:
		case sshagent.Classify(v.Frame) == sshagent.Bind:
			if answer := l.Add(v.Frame); answer.Type() != sshagent.TypeSuccess {
				t.Errorf("%s: binding answered %v", name, answer.Type())
			}
		case sshagent.Classify(v.Frame) == sshagent.Sign:
			s, err := sshagent.ParseSignRequest(v.Frame)
			if err != nil {
				t.Fatal(err)
			}
			k, err := sshagent.ParseKey(s.Key)
			if err != nil {
				t.Fatal(err)
			}
			data := sshagent.ParseSignData(s.Data, k, s.Flags)
			if data.Login == nil {
				continue
			}
			judged++
			d := l.Judge(data.Login)
			if got := (row{d.Grade, d.Forwarded, len(d.Path), len(l.Frames())}); got != want[name] {
				t.Errorf("%s: got %+v, want %+v", name, got, want[name])
			}
			if (d.HostKey == nil) != (d.Grade == bind.Unbound) {
				t.Errorf("%s: host key %q", name, d.HostKey)
			}
			if d.HostKey != nil && sshagent.Fingerprint(d.HostKey) != "SHA256:TRrWIiZiarHiK2PCdBEXMR6mOUOqKqtNMxZf44MEUfU" {
				t.Errorf("%s: host key %s", name, sshagent.Fingerprint(d.HostKey))
			}
		}
	}
	if judged != len(want) {
		t.Errorf("judged %d logins, want %d", judged, len(want))
	}
}

func plain(session string) *sshagent.Login {
	return &sshagent.Login{SessionID: []byte(session), User: "git", Method: sshagent.MethodPublicKey}
}

func hostbound(session string, h host) *sshagent.Login {
	return &sshagent.Login{SessionID: []byte(session), User: "git", Method: sshagent.MethodHostbound, HostKey: h.blob}
}

func TestWhenADestinationMayBeBelieved(t *testing.T) {
	t.Parallel()
	bastion, server, attacker := ed25519Host(t), ed25519Host(t), ed25519Host(t)
	type frames = []sshagent.Frame
	for _, test := range []struct {
		name      string
		bindings  frames
		login     *sshagent.Login
		want      bind.Grade
		hostKey   []byte
		claimed   []byte
		forwarded bool
		path      []host
	}{
		{name: "not bound, plain", login: plain("s"), want: bind.Unbound},
		{name: "not bound, hostbound", login: hostbound("s", server), want: bind.Hostbound, hostKey: server.blob},
		{name: "bound, plain", bindings: frames{server.frame(t, "s", false)}, login: plain("s"), want: bind.BoundVerified, hostKey: server.blob},
		{name: "bound, hostbound", bindings: frames{server.frame(t, "s", false)}, login: hostbound("s", server), want: bind.Hostbound, hostKey: server.blob},
		// The attack of the owner of any key over any session: verified, but of the
		// attacker's key, which no known host has.
		{
			name: "bound with the attacker's key, plain", bindings: frames{attacker.frame(t, "s", false)}, login: plain("s"),
			want: bind.BoundVerified, hostKey: attacker.blob,
		},
		{name: "bound with the attacker's key, hostbound to the server", bindings: frames{attacker.frame(t, "s", false)}, login: hostbound("s", server), want: bind.Mismatch},
		{name: "bound, another session, plain", bindings: frames{server.frame(t, "s", false)}, login: plain("other"), want: bind.Mismatch},
		{name: "bound, another session, hostbound", bindings: frames{server.frame(t, "s", false)}, login: hostbound("other", server), want: bind.Mismatch},
		{name: "bound, another host, hostbound", bindings: frames{server.frame(t, "s", false)}, login: hostbound("s", bastion), want: bind.Mismatch},
		{name: "wrong signature, plain", bindings: frames{step{server, "s", false, true, false}.frame(t)}, login: plain("s"), want: bind.Unbound},
		{
			name: "wrong signature, hostbound", bindings: frames{step{server, "s", false, true, false}.frame(t)}, login: hostbound("s", server),
			want: bind.Hostbound, hostKey: server.blob,
		},
		{
			name: "wrong signature, forwarding", bindings: frames{step{server, "s", true, true, false}.frame(t)}, login: plain("s"),
			want: bind.Unbound, forwarded: true,
		},
		{
			name: "unknown algorithm, plain", bindings: frames{frameOf(t, opaque("s"))}, login: plain("s"),
			want: bind.BoundUnverified, claimed: opaque("s").HostKey,
		},
		{name: "unknown algorithm, another session", bindings: frames{frameOf(t, opaque("s"))}, login: plain("other"), want: bind.Mismatch},
		{
			name: "forwarding only, plain of another session", bindings: frames{bastion.frame(t, "b", true)}, login: plain("s"),
			want: bind.Unbound, forwarded: true, path: []host{bastion},
		},
		{
			name: "forwarding only, hostbound", bindings: frames{bastion.frame(t, "b", true)}, login: hostbound("s", server),
			want: bind.Hostbound, hostKey: server.blob, forwarded: true, path: []host{bastion},
		},
		{
			name: "forwarding only, plain login of the forwarding session", bindings: frames{bastion.frame(t, "b", true)}, login: plain("b"),
			want: bind.Unbound, forwarded: true, path: []host{bastion},
		},
		{
			name: "forwarding only, its session hostbound to another host", bindings: frames{bastion.frame(t, "b", true)}, login: hostbound("b", server),
			want: bind.Mismatch, forwarded: true, path: []host{bastion},
		},
		{
			name: "through a bastion, hostbound", bindings: frames{bastion.frame(t, "b", true), server.frame(t, "s", false)}, login: hostbound("s", server),
			want: bind.Hostbound, hostKey: server.blob, forwarded: true, path: []host{bastion},
		},
		{
			name: "through a bastion, plain", bindings: frames{bastion.frame(t, "b", true), server.frame(t, "s", false)}, login: plain("s"),
			want: bind.BoundVerified, hostKey: server.blob, forwarded: true, path: []host{bastion},
		},
		{
			name: "through a bastion, login of the first session", bindings: frames{bastion.frame(t, "b", true), server.frame(t, "s", false)}, login: plain("b"),
			want: bind.Mismatch, forwarded: true, path: []host{bastion},
		},
		{
			name: "through two hosts", bindings: frames{bastion.frame(t, "b", true), attacker.frame(t, "a", true), server.frame(t, "s", false)},
			login: hostbound("s", server), want: bind.Hostbound, hostKey: server.blob, forwarded: true, path: []host{bastion, attacker},
		},
		{name: "no login", bindings: frames{server.frame(t, "s", false)}, want: bind.Mismatch},
	} {
		var l bind.List
		for _, f := range test.bindings {
			l.Add(f)
		}
		d := l.Judge(test.login)
		if d.Grade != test.want || d.Forwarded != test.forwarded || l.Forwarded() != test.forwarded {
			t.Errorf("%s: got %v, forwarded %v", test.name, d.Grade, d.Forwarded)
		}
		if !bytes.Equal(d.HostKey, test.hostKey) || !bytes.Equal(d.Claimed, test.claimed) {
			t.Errorf("%s: got another host key", test.name)
		}
		if len(d.Path) != len(test.path) {
			t.Errorf("%s: path of %d hops", test.name, len(d.Path))
			continue
		}
		for i, hop := range d.Path {
			if !bytes.Equal(hop.HostKey, test.path[i].blob) || !hop.Verified {
				t.Errorf("%s: hop %d differs", test.name, i)
			}
		}
	}
}

func TestZeroGradeRefuses(t *testing.T) {
	t.Parallel()
	var d bind.Destination
	if d.Grade != bind.Mismatch || d.Grade.String() != "mismatch" {
		t.Errorf("got %v", d.Grade)
	}
}
