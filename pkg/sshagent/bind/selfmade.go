package bind

import (
	"crypto/ed25519"
	"crypto/rand"
	_ "embed"
	"fmt"

	"golang.org/x/crypto/ssh"

	"github.com/splitvault/splitvault/pkg/sshagent"
)

//go:embed marker.bin
var marker []byte

// Marker is a valid binding of a host that does not exist, with is_forwarding set.
// Sent first on a connection to an OpenSSH agent it marks the connection as
// remote, and the agent then loads no PKCS#11 or FIDO provider for it
// (ssh-agent(1), option -O allow-remote-pkcs11). Keys with destination constraints
// are hidden by it: where those are wanted send List.Frames instead, which has the
// same effect.
//
// It was made once, with an RSA key that nobody has kept: to make one for each
// call takes a guard a millisecond, and to verify an Ed25519 signature takes
// OpenSSH's agent another one and a half, each time, which for RSA is a twentieth.
// Nothing rests on the key: no destination names it, and whoever had it could make
// no more than another such binding.
func Marker() (sshagent.Frame, error) {
	f, err := sshagent.ParseFrame(marker, sshagent.MaxRequest)
	if err != nil {
		return sshagent.Frame{}, fmt.Errorf("reading the marker binding: %w", err)
	}
	return f, nil
}

// SelfMade is Marker with a fresh Ed25519 key and session id, for an agent that
// was built without RSA (OpenSSH without OpenSSL).
func SelfMade() (sshagent.Frame, error) {
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return sshagent.Frame{}, fmt.Errorf("making a binding: %w", err)
	}
	hostKey, err := ssh.NewPublicKey(pub)
	if err != nil {
		return sshagent.Frame{}, fmt.Errorf("making a binding: %w", err)
	}
	sessionID := make([]byte, 32)
	rand.Read(sessionID) // never fails
	sig := ssh.Signature{Format: ssh.KeyAlgoED25519, Blob: ed25519.Sign(priv, sessionID)}
	return sshagent.BindRequest{
		HostKey:    hostKey.Marshal(),
		SessionID:  sessionID,
		Signature:  ssh.Marshal(sig),
		Forwarding: true,
	}.Frame()
}
