package openssh

import (
	"bytes"
	"slices"
	"testing"

	"github.com/splitvault/splitvault/pkg/sshagent"
	"github.com/splitvault/splitvault/pkg/sshagent/agenttest"
	"github.com/splitvault/splitvault/pkg/sshagent/bind"
)

// A message that ours lets through is to the real ssh-agent what it is to ours: a
// list lists, a signature is by the named key over the data that was judged, a
// binding that ours believes is believed. No message gets a second answer, ends the
// connection, or leaves the agent with other keys.
func FuzzAgentUnderstandsTheSame(f *testing.F) {
	w := open(f)
	for _, v := range agenttest.Vectors(f, "../../pkg/sshagent/testdata/ssh-agent-frames.jsonl") {
		f.Add(v.Frame.Bytes())
	}
	for _, k := range w.keys {
		for _, flags := range []uint32{0, sshagent.FlagRSASHA256, sshagent.FlagRSASHA512} {
			request, err := sshagent.SignRequest{Key: k.Blob, Data: []byte("data"), Flags: flags}.Frame()
			if err != nil {
				f.Fatal(err)
			}
			f.Add(request.Bytes())
		}
	}
	f.Fuzz(func(t *testing.T, untrusted []byte) {
		frame, err := sshagent.ParseFrame(untrusted, sshagent.MaxRequest)
		if err != nil {
			return
		}
		class := sshagent.Classify(frame)
		if class == sshagent.Refuse || class == sshagent.ProtocolError {
			return // passed on to nobody
		}
		conn := w.free.Dial(t)
		before := conn.Ask(t, sshagent.RequestIdentities())
		w.compare(t, class, frame, conn.Ask(t, frame), before)
		if after := conn.Ask(t, sshagent.RequestIdentities()); !bytes.Equal(before.Bytes(), after.Bytes()) {
			t.Errorf("%v has changed the agent: it lists %q", class, after.Bytes())
		}
	})
}

func (w *world) compare(t *testing.T, class sshagent.Class, frame, answer, list sshagent.Frame) {
	t.Helper()
	if class != sshagent.Reset && !sshagent.Answers(class, answer) {
		t.Errorf("%v is answered by %v", class, answer.Type())
	}
	switch class {
	case sshagent.List:
		if !bytes.Equal(answer.Bytes(), list.Bytes()) {
			t.Errorf("a list gives %q, want %q", answer.Bytes(), list.Bytes())
		}
	case sshagent.Sign:
		w.compareSign(t, frame, answer)
	case sshagent.Bind:
		compareBind(t, frame, answer)
	default:
		// A question about extensions changes nothing, whatever the agent knows of it.
		if answer.Type() == sshagent.TypeSignResponse || answer.Type() == sshagent.TypeIdentitiesAnswer {
			t.Errorf("%v is answered by %v", class, answer.Type())
		}
	}
}

// compareBind: a binding by a key of a format that is unknown here is kept, and
// nothing is believed of it; such a one ssh-agent may refuse.
func compareBind(t *testing.T, frame, answer sshagent.Frame) {
	t.Helper()
	request, err := sshagent.ParseBind(frame)
	if err != nil {
		return // answered by ours
	}
	if believed, err := bind.Verify(request); err == nil && believed && answer.Type() != sshagent.TypeSuccess {
		t.Errorf("ours believes a binding, ssh-agent answers %v", answer.Type())
	}
}

func (w *world) compareSign(t *testing.T, frame, answer sshagent.Frame) {
	t.Helper()
	request, err := sshagent.ParseSignRequest(frame)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(w.keys, func(k sshagent.Key) bool { return k.Is(request.Key) })
	if i < 0 || w.keys[i].CheckFlags(request.Flags) != nil {
		return // the guard signs by keys that it has listed, and with these flags, only
	}
	if answer.Type() != sshagent.TypeSignResponse {
		t.Fatalf("ours lets a signature through, ssh-agent answers %v", answer.Type())
	}
	verified(t, answer, w.keys[i], request.Flags, request.Data)
}
