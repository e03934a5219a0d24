package sshagent

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
)

// Formats of plain keys that are known here, as in their blobs: [RFC4253]
// section 6.6, RFC 5656, RFC 8709, [PROTOCOL.u2f].
const (
	FormatEd25519   = "ssh-ed25519"
	FormatRSA       = "ssh-rsa"
	FormatECDSA256  = "ecdsa-sha2-nistp256"
	FormatECDSA384  = "ecdsa-sha2-nistp384"
	FormatECDSA521  = "ecdsa-sha2-nistp521"
	FormatSKEd25519 = "sk-ssh-ed25519@openssh.com"
	FormatSKECDSA   = "sk-ecdsa-sha2-nistp256@openssh.com"
	FormatDSA       = "ssh-dss"
)

// Signature algorithms of RSA keys (RFC 8332).
const (
	algRSASHA256 = "rsa-sha2-256"
	algRSASHA512 = "rsa-sha2-512"
)

// certSuffix ends the format of a certificate ([PROTOCOL.certkeys]).
const certSuffix = "-cert-v01@openssh.com"

// maxFormat bounds the name of a format ([RFC4251] section 6).
const maxFormat = 64

type family int

const (
	familyUnknown family = iota
	familyEd25519
	familyRSA
	familyECDSA
	familyDSA
)

// spec is what a format says about the key fields that follow it.
type spec struct {
	plain  string
	family family
	curve  string
	size   int // of a coordinate, in bytes
	sk     bool
}

// Key is a public key or certificate whose structure was checked. It aliases
// its blob.
type Key struct {
	Format      string // as in the blob
	Plain       string // for a known certificate the format of the key inside, else Format; "" for an unknown certificate
	Known       bool   // the format is known here and all fields were checked; else the blob is opaque
	Certificate bool   // by the format's name, so for unknown certificates too
	SK          bool   // a security key: signing may wait for a touch
	DSA         bool   // ssh-dss: recognised, too weak for anything new
	Blob        []byte
	Cert        *Certificate // content of a known certificate, else nil; its CA signature is not verified here

	family family
	size   int // bytes of the RSA modulus or of an ECDSA coordinate
	plain  []byte
}

// ParseKey takes a public key blob: string format, then the fields of that
// format and nothing after. Blobs of unknown formats are accepted and stay
// opaque (Known is false), for agents and clients learn new ones.
func ParseKey(untrustedBlob []byte) (Key, error) {
	c := cursor{rest: untrustedBlob}
	format := c.string()
	if c.bad || !isName(format) {
		return Key{}, fmt.Errorf("parsing a public key: %w: no format name", ErrMalformed)
	}
	s, cert, known := lookup(format)
	if !known {
		return opaqueKey(string(format), untrustedBlob), nil
	}
	k := Key{
		Format: s.plain, Plain: s.plain, Known: true, Certificate: cert, SK: s.sk, DSA: s.family == familyDSA,
		Blob: untrustedBlob, plain: untrustedBlob, family: s.family, size: s.size,
	}
	ok := false
	if cert {
		k.Format = s.certFormat()
		k.Cert, k.size, ok = parseCertificate(&c, s)
		if ok {
			k.Cert.Signature = c.string()
			k.plain = k.Cert.PlainBlob
		}
	} else {
		k.size, ok = s.fields(&c)
	}
	if !ok || !c.done() {
		return Key{}, fmt.Errorf("parsing a public key of format %q: %w", k.Format, ErrMalformed)
	}
	return k, nil
}

func opaqueKey(format string, blob []byte) Key {
	k := Key{Format: format, Plain: format, Blob: blob, plain: blob}
	if _, cert := certBase(format); cert {
		k.Certificate, k.Plain = true, ""
	}
	return k
}

// Fingerprint is the SHA-256 of the blob, as "SHA256:" and unpadded base64. For
// a certificate that is the certificate's own; see PlainFingerprint.
func (k Key) Fingerprint() string { return Fingerprint(k.Blob) }

// PlainBlob is the key itself: of a known certificate the key inside as a plain
// key's blob, else Blob.
func (k Key) PlainBlob() []byte { return k.plain }

// PlainFingerprint is the fingerprint of PlainBlob, which is what OpenSSH's
// tools print for a certificate too.
func (k Key) PlainFingerprint() string { return Fingerprint(k.plain) }

// Fingerprint is the SHA-256 of any blob in OpenSSH's spelling.
func Fingerprint(blob []byte) string {
	sum := sha256.Sum256(blob)
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}

// Is reports whether blob is this very key or certificate.
func (k Key) Is(blob []byte) bool {
	return len(blob) > 0 && bytes.Equal(k.Blob, blob)
}

// isName checks the grammar of algorithm names ([RFC4251] section 6).
func isName(b []byte) bool {
	for _, c := range b {
		if c <= ' ' || c >= 0x7f || c == ',' {
			return false
		}
	}
	return len(b) > 0 && len(b) <= maxFormat
}

// certBase gives a certificate's format without its suffix.
func certBase(format string) (base string, isCert bool) {
	return strings.CutSuffix(format, certSuffix)
}

// lookup finds a format; cert tells whether it is a certificate's.
func lookup(format []byte) (s spec, cert, known bool) {
	base, cert := bytes.CutSuffix(format, []byte(certSuffix))
	for _, s := range specs() {
		want := s.plain
		if cert {
			want = strings.TrimSuffix(want, "@openssh.com")
		}
		if string(base) == want {
			return s, cert, true
		}
	}
	return spec{}, cert, false
}

func specs() [8]spec {
	return [...]spec{
		{plain: FormatEd25519, family: familyEd25519},
		{plain: FormatRSA, family: familyRSA},
		{plain: FormatECDSA256, family: familyECDSA, curve: "nistp256", size: 32},
		{plain: FormatECDSA384, family: familyECDSA, curve: "nistp384", size: 48},
		{plain: FormatECDSA521, family: familyECDSA, curve: "nistp521", size: 66},
		{plain: FormatSKEd25519, family: familyEd25519, sk: true},
		{plain: FormatSKECDSA, family: familyECDSA, curve: "nistp256", size: 32, sk: true},
		{plain: FormatDSA, family: familyDSA},
	}
}

// certFormat is the format of certificates of such keys.
func (s spec) certFormat() string {
	return strings.TrimSuffix(s.plain, "@openssh.com") + certSuffix
}

// fields reads the key's own fields and gives the size of its modulus or
// coordinate in bytes.
func (s spec) fields(c *cursor) (size int, ok bool) {
	size = s.size
	switch s.family {
	case familyEd25519:
		ok = len(c.string()) == 32
	case familyRSA:
		c.mpint() // exponent
		size = c.mpint()
		ok = true
	case familyECDSA:
		curve, point := c.string(), c.string()
		// Uncompressed points only, as RFC 5656 section 3.1 leaves to OpenSSH.
		ok = string(curve) == s.curve && len(point) == 1+2*s.size && point[0] == 4
	case familyDSA:
		for range 4 {
			c.mpint()
		}
		ok = true
	}
	if s.sk {
		c.string() // application
	}
	return size, ok && !c.bad
}
