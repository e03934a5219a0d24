package bind_test

import (
	"crypto/rand"
	"crypto/rsa"
	"os"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/splitvault/splitvault/pkg/sshagent"
	"github.com/splitvault/splitvault/pkg/sshagent/bind"
)

// newMarker makes what Marker reads: UPDATE=1 go test ./pkg/sshagent/bind
func newMarker(t *testing.T) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	session := make([]byte, 32)
	rand.Read(session) // never fails
	signature, err := signer.(ssh.AlgorithmSigner).SignWithAlgorithm(rand.Reader, session, ssh.KeyAlgoRSASHA512)
	if err != nil {
		t.Fatal(err)
	}
	frame, err := sshagent.BindRequest{
		HostKey: signer.PublicKey().Marshal(), SessionID: session, Signature: ssh.Marshal(signature), Forwarding: true,
	}.Frame()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("marker.bin", frame.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestTheMarkerIsAValidForwardedBindingByRSA(t *testing.T) {
	t.Parallel()
	if os.Getenv("UPDATE") != "" {
		newMarker(t)
		t.Skip("marker.bin is new: run the tests again")
	}
	f, err := bind.Marker()
	if err != nil {
		t.Fatal(err)
	}
	b, err := sshagent.ParseBind(f)
	if err != nil || !b.Forwarding || len(b.SessionID) != 32 {
		t.Fatalf("got %+v, %v", b, err)
	}
	if verified, err := bind.Verify(b); !verified || err != nil {
		t.Errorf("got %v, %v", verified, err)
	}
	key, err := sshagent.ParseKey(b.HostKey)
	if err != nil || key.Format != sshagent.FormatRSA {
		t.Errorf("the key is %q, %v: others take an agent many times as long", key.Format, err)
	}
}
