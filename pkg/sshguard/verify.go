package sshguard

import (
	"fmt"

	"golang.org/x/crypto/ssh"

	"github.com/splitvault/splitvault/pkg/sshagent"
)

// verify checks that an agent's SIGN_RESPONSE is a signature by this key over
// this data: not another request's answer, and not what a faulty computation
// would give away of an RSA key. Keys of formats that are unknown here pass.
func verify(reply sshagent.Frame, key sshagent.Key, data []byte) error {
	if !key.Known {
		return nil
	}
	public, err := ssh.ParsePublicKey(key.PlainBlob())
	if err != nil {
		return fmt.Errorf("verifying the agent's signature: %w", err)
	}
	var body struct{ Signature []byte }
	if err := ssh.Unmarshal(reply.Body(), &body); err != nil {
		return fmt.Errorf("verifying the agent's signature: %w", err)
	}
	var signature ssh.Signature
	if err := ssh.Unmarshal(body.Signature, &signature); err != nil {
		return fmt.Errorf("verifying the agent's signature: %w", err)
	}
	if err := public.Verify(data, &signature); err != nil {
		return fmt.Errorf("verifying the agent's signature: %w", err)
	}
	return nil
}
