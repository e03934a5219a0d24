package bind

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/splitvault/splitvault/pkg/sshagent"
)

// ErrRefused marks a signature that nothing should rest on: SHA-1 or DSA.
var ErrRefused = errors.New("signature algorithm is refused")

// Verify checks a binding's signature: by the host key over the session id
// itself ([PROTOCOL.agent]). A host certificate verifies with the key inside, and
// its own signature by its authority must be good too, as in OpenSSH; whether
// that authority is trusted, and for which names, is not judged here.
//
//	true,  nil  the signature is good
//	false, nil  the key's or authority's algorithm is unknown here: keep the binding, believe nothing
//	false, err  malformed, wrong, or by SHA-1 ssh-rsa or DSA: refuse the binding
func Verify(b sshagent.BindRequest) (verified bool, err error) {
	k, err := sshagent.ParseKey(b.HostKey)
	if err != nil {
		return false, fmt.Errorf("verifying a binding: %w", err)
	}
	known, err := verify(k.PlainBlob(), b.SessionID, b.Signature)
	if err != nil {
		return false, fmt.Errorf("verifying a binding: %w", err)
	}
	if !known || !k.Certificate {
		return known, nil
	}
	return VerifyCertificate(k)
}

// VerifyCertificate checks the authority's signature in a certificate, with the
// results of Verify. It judges neither the authority nor times nor principals.
func VerifyCertificate(k sshagent.Key) (verified bool, err error) {
	if k.Cert == nil {
		return false, fmt.Errorf("verifying a certificate: format %q is none that is known", k.Format)
	}
	verified, err = verify(k.Cert.SignatureKey, k.Cert.Encode(), k.Cert.Signature)
	if err != nil {
		return false, fmt.Errorf("verifying a certificate: %w", err)
	}
	return verified, nil
}

// verify checks a signature blob over data. known is false for a key that is
// well-formed but of a format that is unknown here.
func verify(untrustedKey, data, untrustedSignature []byte) (known bool, err error) {
	pub, err := ssh.ParsePublicKey(untrustedKey)
	if err != nil {
		k, structure := sshagent.ParseKey(untrustedKey)
		if structure == nil && !k.Known {
			return false, nil
		}
		return false, fmt.Errorf("parsing the key: %w", err)
	}
	var sig ssh.Signature
	if err := ssh.Unmarshal(untrustedSignature, &sig); err != nil {
		return false, fmt.Errorf("parsing the signature: %w", err)
	}
	// x/crypto verifies both of these.
	if sig.Format == sshagent.FormatRSA || sig.Format == sshagent.FormatDSA {
		return false, fmt.Errorf("%w: %s", ErrRefused, sig.Format)
	}
	// What follows a signature is the counter of security keys ([PROTOCOL.u2f]);
	// after others x/crypto would ignore it.
	if len(sig.Rest) > 0 && !strings.HasPrefix(sig.Format, "sk-") {
		return false, fmt.Errorf("parsing the signature: %d bytes left over", len(sig.Rest))
	}
	if err := pub.Verify(data, &sig); err != nil {
		return false, fmt.Errorf("checking the signature: %w", err)
	}
	return true, nil
}
