package sshagent_test

import (
	"bytes"
	"testing"

	"github.com/splitvault/splitvault/pkg/sshagent"
	"github.com/splitvault/splitvault/pkg/sshagent/agenttest"
)

// The round trip with OpenSSH's agent: what it lists is understood, what it
// signs fits, and what it should not have signed is noticed.
func TestRealAgentRoundTrip(t *testing.T) {
	t.Parallel()
	a := agenttest.Start(t)
	a.AddKey(t, "ca", "ed25519", "", "")
	for _, k := range []struct{ file, keyType, bits string }{
		{"ed", "ed25519", ""}, {"p256", "ecdsa", "256"}, {"p384", "ecdsa", "384"}, {"p521", "ecdsa", "521"}, {"rsa", "rsa", "2048"},
	} {
		a.AddKey(t, k.file, k.keyType, k.bits, "ca")
	}
	conn := a.Dial(t)
	ids, err := sshagent.ParseIdentities(conn.Ask(t, sshagent.RequestIdentities()))
	if err != nil || len(ids) != 11 {
		t.Fatalf("%d keys, %v; want a CA, five keys and their certificates", len(ids), err)
	}
	var keys []sshagent.Key
	for _, id := range ids {
		k, err := sshagent.ParseKey(id.Blob)
		if err != nil || !k.Known {
			t.Fatalf("%q: %+v, %v", id.Comment, k, err)
		}
		keys = append(keys, k)
	}
	for _, k := range keys {
		flags := []uint32{0}
		if k.Plain == sshagent.FormatRSA {
			flags = []uint32{sshagent.FlagRSASHA256, sshagent.FlagRSASHA512}
		}
		for _, f := range flags {
			s := sshagent.SignRequest{Key: k.Blob, Data: []byte("data to be signed"), Flags: f}
			request, err := s.Frame()
			if err != nil {
				t.Fatal(err)
			}
			reply := conn.Ask(t, request)
			if err := sshagent.CheckSignReply(reply, k, f); err != nil {
				t.Errorf("%s, flags %d: %v", k.Format, f, err)
				continue
			}
			verifyReply(t, s, reply)
			for _, other := range keys {
				if other.Plain != k.Plain && sshagent.CheckSignReply(reply, other, f) == nil {
					t.Errorf("a signature by %s passes for %s", k.Format, other.Format)
				}
			}
		}
	}
}

// OpenSSH's agent signs with SHA-1 if it is asked without flags.
func TestRealAgentsSHA1IsRefused(t *testing.T) {
	t.Parallel()
	a := agenttest.Start(t)
	a.AddKey(t, "rsa", "rsa", "2048", "")
	conn := a.Dial(t)
	ids, err := sshagent.ParseIdentities(conn.Ask(t, sshagent.RequestIdentities()))
	if err != nil || len(ids) != 1 {
		t.Fatalf("%d keys, %v", len(ids), err)
	}
	k, err := sshagent.ParseKey(ids[0].Blob)
	if err != nil {
		t.Fatal(err)
	}
	for _, flags := range []uint32{0, 8} {
		request, err := sshagent.SignRequest{Key: k.Blob, Data: []byte("x"), Flags: flags}.Frame()
		if err != nil {
			t.Fatal(err)
		}
		reply := conn.Ask(t, request)
		if reply.Type() == sshagent.TypeFailure {
			continue // an agent that refuses by itself: nothing to notice
		}
		if !bytes.Contains(reply.Body(), []byte("\x00\x00\x00\x07ssh-rsa")) {
			t.Errorf("flags %d: want a SHA-1 signature to test with", flags)
		}
		for _, claimed := range []uint32{0, 2, 4, 8} {
			if sshagent.CheckSignReply(reply, k, claimed) == nil {
				t.Errorf("a SHA-1 signature passes with flags %d", claimed)
			}
		}
	}
}
