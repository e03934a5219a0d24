package sshagent

import "encoding/binary"

// CertType tells what a certificate is for ([PROTOCOL.certkeys]).
type CertType uint32

// The two types there are.
const (
	UserCert CertType = 1
	HostCert CertType = 2
)

// String gives "user", "host" or "unknown".
func (t CertType) String() string {
	switch t {
	case UserCert:
		return "user"
	case HostCert:
		return "host"
	default:
		return "unknown"
	}
}

// maxPrincipals is OpenSSH's SSHKEY_CERT_MAX_PRINCIPALS.
const maxPrincipals = 256

// Certificate is the content of a certificate ([PROTOCOL.certkeys]). As part of
// SignData it is still to be signed; as part of a Key it carries its signature.
type Certificate struct {
	Format          string // "ssh-ed25519-cert-v01@openssh.com"
	Nonce           []byte
	PlainBlob       []byte // the certified key as a plain key's blob
	Serial          uint64
	Type            CertType
	KeyID           string
	Principals      []string // none: good for every principal
	ValidAfter      uint64   // seconds since 1970
	ValidBefore     uint64   // seconds since 1970; all ones: for ever
	CriticalOptions []Option
	Extensions      []Option
	Reserved        []byte
	SignatureKey    []byte // blob of the authority's key
	Signature       []byte // by that key over Encode; nil while it is to be signed

	fields []byte // the certified key's own fields
}

// Option is a critical option or an extension of a certificate.
type Option struct {
	Name string
	Data []byte // empty, or for OpenSSH's own options one packed string; see Value
}

// Value is the text of an option that has one, such as force-command.
func (o Option) Value() (value string, ok bool) {
	c := cursor{rest: o.Data}
	b := c.string()
	return string(b), c.done()
}

// parseCertificate reads a certificate from after its format up to and with the
// signature key, and gives the size of the certified key as spec.fields does.
func parseCertificate(c *cursor, s spec) (cert *Certificate, size int, ok bool) {
	cert = &Certificate{Format: s.certFormat(), Nonce: c.string()}
	before := c.rest
	size, ok = s.fields(c)
	if !ok {
		return nil, 0, false
	}
	cert.fields = before[:len(before)-len(c.rest)]
	cert.Serial = c.uint64()
	cert.Type = CertType(c.uint32())
	cert.KeyID = c.text()
	untrustedPrincipals := cursor{rest: c.string()}
	cert.ValidAfter = c.uint64()
	cert.ValidBefore = c.uint64()
	untrustedCritical := cursor{rest: c.string()}
	untrustedExtensions := cursor{rest: c.string()}
	cert.Reserved = c.string()
	cert.SignatureKey = c.string()
	if c.bad || (cert.Type != UserCert && cert.Type != HostCert) {
		return nil, 0, false
	}
	if cert.Principals, ok = names(untrustedPrincipals); !ok {
		return nil, 0, false
	}
	if cert.CriticalOptions, ok = options(untrustedCritical); !ok {
		return nil, 0, false
	}
	if cert.Extensions, ok = options(untrustedExtensions); !ok {
		return nil, 0, false
	}
	// A certificate signs no certificate ([PROTOCOL.certkeys]: chains are not supported).
	ca, err := ParseKey(cert.SignatureKey)
	if err != nil || ca.Certificate {
		return nil, 0, false
	}
	cert.PlainBlob = append(appendString(nil, s.plain), cert.fields...)
	return cert, size, true
}

func names(c cursor) ([]string, bool) {
	var list []string
	for len(c.rest) > 0 && !c.bad {
		if len(list) == maxPrincipals {
			return nil, false
		}
		list = append(list, c.text())
	}
	return list, !c.bad
}

func options(c cursor) ([]Option, bool) {
	var list []Option
	for len(c.rest) > 0 && !c.bad {
		if len(list) == maxPrincipals {
			return nil, false
		}
		list = append(list, Option{Name: c.text(), Data: c.string()})
	}
	return list, !c.bad
}

// Encode is the certificate without its signature: what the authority signs.
func (t *Certificate) Encode() []byte {
	b := appendString(nil, t.Format)
	b = appendString(b, t.Nonce)
	b = append(b, t.fields...)
	b = binary.BigEndian.AppendUint64(b, t.Serial)
	b = binary.BigEndian.AppendUint32(b, uint32(t.Type))
	b = appendString(b, t.KeyID)
	var principals []byte
	for _, p := range t.Principals {
		principals = appendString(principals, p)
	}
	b = appendString(b, principals)
	b = binary.BigEndian.AppendUint64(b, t.ValidAfter)
	b = binary.BigEndian.AppendUint64(b, t.ValidBefore)
	b = appendString(b, packOptions(t.CriticalOptions))
	b = appendString(b, packOptions(t.Extensions))
	b = appendString(b, t.Reserved)
	return appendString(b, t.SignatureKey)
}

func packOptions(list []Option) []byte {
	var b []byte
	for _, o := range list {
		b = appendString(b, o.Name)
		b = appendString(b, o.Data)
	}
	return b
}
