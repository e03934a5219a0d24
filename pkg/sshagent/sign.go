package sshagent

import (
	"encoding/binary"
	"fmt"
)

// Flags of a sign request ([RFC9987] section 3.6.1).
const (
	FlagRSASHA256 uint32 = 2
	FlagRSASHA512 uint32 = 4
)

// SignRequest asks for a signature by Key over Data.
type SignRequest struct {
	Key   []byte // blob, see ParseKey
	Data  []byte // see ParseSignData
	Flags uint32 // see Key.CheckFlags
}

// ParseSignRequest takes a SIGN_REQUEST ([RFC9987] section 3.6): string key,
// string data, uint32 flags, nothing after. The parts alias the frame and are
// not judged here.
func ParseSignRequest(untrusted Frame) (SignRequest, error) {
	if untrusted.Type() != TypeSignRequest {
		return SignRequest{}, fmt.Errorf("parsing a sign request: %w: got %v", ErrMalformed, untrusted.Type())
	}
	c := cursor{rest: untrusted.Body()}
	s := SignRequest{Key: c.string(), Data: c.string(), Flags: c.uint32()}
	if !c.done() {
		return SignRequest{}, fmt.Errorf("parsing a sign request: %w", ErrMalformed)
	}
	return s, nil
}

// Frame is the request as a message, the same bytes it was parsed from. It fails
// with ErrTooLarge beyond MaxRequest.
func (s SignRequest) Frame() (Frame, error) {
	size := 1 + 4 + len(s.Key) + 4 + len(s.Data) + 4
	if size > MaxRequest {
		return Frame{}, fmt.Errorf("building a sign request: %w: %d bytes", ErrTooLarge, size)
	}
	body := appendString(make([]byte, 0, size-1), s.Key)
	body = appendString(body, s.Data)
	body = binary.BigEndian.AppendUint32(body, s.Flags)
	return newFrame(TypeSignRequest, body), nil
}

// CheckFlags accepts the flags that give a signature worth having: for RSA keys
// and certificates exactly one of FlagRSASHA256 and FlagRSASHA512 (with neither,
// agents sign with SHA-1), for others 0 (gpg-agent refuses any other bit).
func (k Key) CheckFlags(flags uint32) error {
	_, err := k.signatureFormat(flags)
	return err
}

// signatureFormat is the format of a signature by k with these flags; for a
// certificate that of the key inside ([PROTOCOL.certkeys]). It is empty for
// certificates of unknown formats.
func (k Key) signatureFormat(flags uint32) (string, error) {
	switch {
	case k.family == familyRSA && flags == FlagRSASHA256:
		return algRSASHA256, nil
	case k.family == familyRSA && flags == FlagRSASHA512:
		return algRSASHA512, nil
	case k.family == familyRSA:
		return "", fmt.Errorf("flags %#x: an RSA key signs with 2 (SHA-256) or 4 (SHA-512) only", flags)
	case flags != 0:
		return "", fmt.Errorf("flags %#x: a key of format %q takes none", flags, k.Format)
	default:
		return k.Plain, nil
	}
}

// CheckSignReply judges an agent's SIGN_RESPONSE ([RFC9987] section 3.6): string
// signature and nothing after, where the signature has the format that fits key
// and flags and a plausible length. It does not verify the signature.
// Signatures of unknown key formats must name that format and are opaque else.
func CheckSignReply(untrusted Frame, k Key, flags uint32) error {
	want, err := k.signatureFormat(flags)
	if err != nil {
		return fmt.Errorf("checking a signature: %w", err)
	}
	if untrusted.Type() != TypeSignResponse {
		return fmt.Errorf("checking a signature: %w: got %v", ErrMalformed, untrusted.Type())
	}
	c := cursor{rest: untrusted.Body()}
	sig := cursor{rest: c.string()}
	format := sig.string()
	if !c.done() || sig.bad {
		return fmt.Errorf("checking a signature: %w", ErrMalformed)
	}
	if !k.Known {
		return checkOpaqueSignature(string(format), k, sig)
	}
	if string(format) != want {
		return fmt.Errorf("checking a signature: got format %q, want %q", clip(format), want)
	}
	if !k.plausible(&sig) {
		return fmt.Errorf("checking a signature of format %q: %w or of a wrong length", want, ErrMalformed)
	}
	return nil
}

func checkOpaqueSignature(format string, k Key, sig cursor) error {
	ok := format == k.Format
	if base, isCert := certBase(k.Format); isCert {
		ok = ok || format == base || format == base+"@openssh.com"
	}
	if !ok || len(sig.rest) == 0 {
		return fmt.Errorf("checking a signature: got format %q for a key of format %q", clip([]byte(format)), k.Format)
	}
	return nil
}

// plausible reads what follows the format in a signature by a known key:
// [RFC4253] section 6.6, RFC 5656 section 3.1.2, RFC 8332 section 3, RFC 8709
// section 6 and, for sk- keys, [PROTOCOL.u2f] (byte flags, uint32 counter after).
func (k Key) plausible(sig *cursor) bool {
	raw := sig.string()
	ok := false
	switch k.family {
	case familyEd25519:
		ok = len(raw) == 64
	case familyRSA:
		// As long as the modulus; some agents drop leading zero bytes.
		ok = len(raw) > 0 && len(raw) <= k.size && len(raw) >= k.size-8
	case familyECDSA:
		rs := cursor{rest: raw}
		r, s := rs.string(), rs.string()
		ok = rs.done() && plausibleScalar(r, k.size) && plausibleScalar(s, k.size)
	case familyDSA:
		ok = len(raw) == 40
	}
	if k.SK {
		sig.uint8()
		sig.uint32()
	}
	return ok && sig.done()
}

// plausibleScalar: positive, and no longer than the curve's order with a sign byte.
func plausibleScalar(b []byte, size int) bool {
	return len(b) > 0 && len(b) <= size+1 && b[0]&0x80 == 0
}

// clip bounds a peer's bytes in an error.
func clip(b []byte) []byte { return b[:min(len(b), 64)] }
