package bind_test

import (
	"bytes"
	"testing"

	"github.com/splitvault/splitvault/pkg/sshagent"
	"github.com/splitvault/splitvault/pkg/sshagent/agenttest"
	"github.com/splitvault/splitvault/pkg/sshagent/bind"
)

// Whatever a connection sends: what is recorded was parsed, is verified or of an
// unknown algorithm, and stays within the cap; a login is never believed beyond it.
func FuzzList(f *testing.F) {
	var binds [][]byte
	for _, v := range agenttest.Vectors(f, vectors) {
		if v.Frame.Type() == sshagent.TypeExtension {
			binds = append(binds, v.Frame.Bytes())
		}
	}
	for _, b := range binds {
		f.Add(b, []byte("session"))
	}
	f.Add(bytes.Join(binds, nil), []byte("session"))
	f.Fuzz(func(t *testing.T, stream, session []byte) {
		var l bind.List
		for len(stream) > 4 {
			n := int(uint32(stream[0])<<24|uint32(stream[1])<<16|uint32(stream[2])<<8|uint32(stream[3])) + 4
			if n > len(stream) {
				break
			}
			frame, err := sshagent.ParseFrame(stream[:n], sshagent.MaxRequest)
			if err != nil {
				break
			}
			before := len(l.Frames())
			answer := l.Add(frame)
			if len(l.Frames()) > before && answer.Type() != sshagent.TypeSuccess {
				t.Fatalf("recorded and answered %v", answer.Type())
			}
			stream = stream[n:]
		}
		frames := l.Frames()
		if len(frames) > sshagent.MaxBindings || (len(frames) > 0 && !l.Attempted()) {
			t.Fatalf("%d frames, attempted %v", len(frames), l.Attempted())
		}
		for i, frame := range frames {
			b, err := sshagent.ParseBind(frame)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := bind.Verify(b); err != nil {
				t.Fatal(err)
			}
			if !b.Forwarding && i != len(frames)-1 {
				t.Fatal("a binding follows one that does not forward")
			}
			if b.Forwarding && !l.Forwarded() {
				t.Fatal("not forwarded")
			}
		}
		d := l.Judge(&sshagent.Login{SessionID: session, Method: sshagent.MethodPublicKey})
		if d.Grade == bind.BoundVerified {
			b, err := sshagent.ParseBind(frames[len(frames)-1])
			if err != nil || !bytes.Equal(b.SessionID, session) || !bytes.Equal(b.HostKey, d.HostKey) {
				t.Fatalf("believed without a binding: %v", err)
			}
		}
		if d.Grade == bind.Hostbound || (d.HostKey != nil && d.Grade != bind.BoundVerified) {
			t.Fatalf("plain login is %v", d.Grade)
		}
	})
}
