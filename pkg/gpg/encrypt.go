package gpg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/splitvault/splitvault/pkg/secret"
)

// ErrRecipient says that a recipient has no key here that gpg would trust.
var ErrRecipient = errors.New("a recipient has no usable key in the keyring")

// Encrypt returns the message that holds plain for the recipients, as pass has
// them in .gpg-id: fingerprints, key identities or mail addresses. gpg's own trust
// in their keys counts, as it does for pass.
func (r Runner) Encrypt(ctx context.Context, recipients []string, plain *secret.Buffer) ([]byte, error) {
	if len(recipients) == 0 {
		return nil, fmt.Errorf("encrypting: %w: none is named", ErrRecipient)
	}
	args := []string{"--no-encrypt-to", "--compress-algo", "none", "--encrypt"}
	for _, id := range recipients {
		if !recipientOK(id) {
			return nil, fmt.Errorf("encrypting to %.80q: %w", id, ErrRecipient)
		}
		args = append(args, "--recipient", id)
	}
	ctx, cancel := context.WithTimeout(ctx, quietTime)
	defer cancel()
	stdin, end, err := feed(plain.Bytes())
	if err != nil {
		return nil, err
	}
	defer end()
	var message []byte
	said, err := r.run(ctx, args, stdin, nil, func(stdout io.Reader) (err error) {
		message, err = bounded(stdout, MaxCipher)
		return err
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("encrypting: %w", err)
	case len(said.invalidRecipients) > 0:
		return nil, fmt.Errorf("encrypting: %w (gpg's reason %s: 10 is a key that is not trusted)", ErrRecipient, strings.Join(said.invalidRecipients, ", "))
	case said.exit != 0 || len(message) == 0:
		return nil, fmt.Errorf("encrypting: gpg failed with exit code %d", said.exit)
	}
	return message, nil
}

// Verify returns the fingerprints of the keys that made a detached signature of
// data, and of their primary keys. One signature that is bad makes it an error.
func (r Runner) Verify(ctx context.Context, data, signature []byte) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, quietTime)
	defer cancel()
	stdin, endData, err := feed(data)
	if err != nil {
		return nil, err
	}
	defer endData()
	extra, endSignature, err := feed(signature)
	if err != nil {
		return nil, err
	}
	defer endSignature()
	args := []string{"--no-autostart", "--enable-special-filenames", "--verify", "--", "-&4", "-"}
	said, err := r.run(ctx, args, stdin, extra, func(stdout io.Reader) error {
		_, err := bounded(stdout, 0)
		return err
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("verifying: %w", err)
	case said.exit != 0 || said.badSignature || len(said.valid) == 0:
		return nil, errors.New("verifying: there is no good signature")
	}
	return said.valid, nil
}
