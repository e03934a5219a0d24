package bind_test

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/splitvault/splitvault/pkg/sshagent"
	"github.com/splitvault/splitvault/pkg/sshagent/agenttest"
	"github.com/splitvault/splitvault/pkg/sshagent/bind"
)

// constrained starts an agent with a free key and one for a host only.
func constrained(t *testing.T, server host) *agenttest.Agent {
	t.Helper()
	a := agenttest.Start(t)
	line := "db.example " + string(ssh.MarshalAuthorizedKey(server.PublicKey()))
	if err := os.WriteFile(filepath.Join(a.Dir, "known"), []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	a.AddKey(t, "free", "ed25519", "", "")
	a.AddKey(t, "bound", "ed25519", "", "", "-H", "known", "-h", "db.example")
	return a
}

func list(t *testing.T, conn *agenttest.Conn) map[string][]byte {
	t.Helper()
	ids, err := sshagent.ParseIdentities(conn.Ask(t, sshagent.RequestIdentities()))
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string][]byte{}
	for _, id := range ids {
		keys[string(id.Comment)] = id.Blob
	}
	return keys
}

// A connection marked by a self-made binding still lists and signs with free
// keys, and sees no key that is bound to a destination.
func TestOurBindingsMarkARealAgentsConnection(t *testing.T) {
	t.Parallel()
	for name, made := range map[string]func() (sshagent.Frame, error){"the constant one": bind.Marker, "a fresh one": bind.SelfMade} {
		t.Run(name, func(t *testing.T) { marks(t, made) })
	}
}

func marks(t *testing.T, made func() (sshagent.Frame, error)) {
	t.Helper()
	conn := constrained(t, ed25519Host(t)).Dial(t)
	f, err := made()
	if err != nil {
		t.Fatal(err)
	}
	if answer := conn.Ask(t, f); answer.Type() != sshagent.TypeSuccess {
		t.Fatalf("got %v", answer.Type())
	}
	keys := list(t, conn)
	if len(keys) != 1 || keys["free"] == nil {
		t.Errorf("got %d keys, want the free one", len(keys))
	}
	request, err := sshagent.SignRequest{Key: keys["free"], Data: []byte("data")}.Frame()
	if err != nil {
		t.Fatal(err)
	}
	if answer := conn.Ask(t, request); answer.Type() != sshagent.TypeSignResponse {
		t.Errorf("signing: got %v", answer.Type())
	}
}

// Recorded bindings sent again open a destination's key, and only for it.
func TestFramesSentAgainOpenABoundKey(t *testing.T) {
	t.Parallel()
	server, elsewhere := ed25519Host(t), ed25519Host(t)
	a := constrained(t, server)
	keys := list(t, a.Dial(t))
	if keys["bound"] == nil {
		t.Fatalf("got %d keys", len(keys))
	}
	for _, test := range []struct {
		name string
		at   host
		want sshagent.MessageType
	}{
		{"the key's host", server, sshagent.TypeSignResponse},
		{"another host", elsewhere, sshagent.TypeFailure},
	} {
		var l bind.List
		l.Add(test.at.frame(t, "session", false))
		conn := a.Dial(t)
		for _, f := range l.Frames() {
			if answer := conn.Ask(t, f); answer.Type() != sshagent.TypeSuccess {
				t.Fatalf("%s: binding answered %v", test.name, answer.Type())
			}
		}
		login := sshagent.Login{
			SessionID: []byte("session"), User: "root", Service: "ssh-connection", Method: sshagent.MethodHostbound,
			Algorithm: "ssh-ed25519", Key: keys["bound"], HostKey: test.at.blob,
		}
		request, err := sshagent.SignRequest{Key: keys["bound"], Data: login.Encode()}.Frame()
		if err != nil {
			t.Fatal(err)
		}
		if answer := conn.Ask(t, request); answer.Type() != test.want {
			t.Errorf("%s: got %v, want %v", test.name, answer.Type(), test.want)
		}
	}
}
