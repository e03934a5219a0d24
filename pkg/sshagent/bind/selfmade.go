package bind

import (
	"crypto/ed25519"
	"crypto/rand"
	"fmt"

	"golang.org/x/crypto/ssh"

	"github.com/splitvault/splitvault/pkg/sshagent"
)

// SelfMade builds a valid binding of a host that does not exist: a fresh Ed25519
// key, a random session id of 32 bytes, is_forwarding set. Sent first on a
// connection to an OpenSSH agent it marks the connection as remote, and the agent
// then loads no PKCS#11 or FIDO provider for it (ssh-agent(1), option
// -O allow-remote-pkcs11). Keys with destination constraints are hidden by it:
// where those are wanted send List.Frames instead, which has the same effect.
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
