package sshagent

import "bytes"

// Kind is the form of the data in a sign request. The zero value is data that
// is no known form.
type Kind int

// The kinds.
const (
	KindRaw         Kind = iota // anything else, to the last byte
	KindLogin                   // Login is set
	KindSSHSIG                  // SSHSIG is set
	KindCertificate             // Certificate is set
	KindHostKey                 // use as a server's host key; HostKeyProof may be set
)

// Purpose is the word for a kind in rules, prompts and the journal.
type Purpose string

// The purposes. Only PurposeLogin and PurposeSSHSIG are harmless enough for a
// rule that names no purpose.
const (
	PurposeLogin          Purpose = "login"
	PurposeForwardedLogin Purpose = "forwarded-login"
	PurposeSSHSIG         Purpose = "sshsig"
	PurposeCertificate    Purpose = "certificate"
	PurposeHostKey        Purpose = "hostkey"
	PurposeRaw            Purpose = "raw"
)

// SignData is what a sign request's data is. Exactly the part of its Kind is
// set. It aliases the data.
type SignData struct {
	Kind         Kind
	Login        *Login
	SSHSIG       *SSHSIG
	Certificate  *Certificate
	HostKeyProof *HostKeyProof // nil for a naked exchange hash
	Reason       string        // for KindRaw and KindHostKey what it looks like, in our words
}

// Purpose is the purpose of the data; forwarded tells whether the connection
// comes from another host (bind.List knows).
func (d SignData) Purpose(forwarded bool) Purpose {
	switch d.Kind {
	case KindLogin:
		if forwarded {
			return PurposeForwardedLogin
		}
		return PurposeLogin
	case KindSSHSIG:
		return PurposeSSHSIG
	case KindCertificate:
		return PurposeCertificate
	case KindHostKey:
		return PurposeHostKey
	default:
		return PurposeRaw
	}
}

// ParseSignData tells what the data of a sign request for requestKey with these
// flags is. It never fails: what is not to its last byte one of the known forms
// with the right key is KindRaw. The forms cannot be taken for one another:
// SSHSIG begins with its magic, which as a length would be 1.4 GB; after the
// first string a login has the byte 50, a certificate the first byte of its
// nonce's length.
//
// Flags are judged for logins, where they decide the algorithm in the data; for
// other kinds Key.CheckFlags does it.
func ParseSignData(untrustedData []byte, requestKey Key, flags uint32) SignData {
	if bytes.HasPrefix(untrustedData, []byte(sshsigMagic)) {
		if sig := parseSSHSIG(untrustedData); sig != nil {
			return SignData{Kind: KindSSHSIG, SSHSIG: sig}
		}
		return SignData{Reason: "file signature that is malformed"}
	}
	if looksLikeExchangeHash(untrustedData) {
		return SignData{Kind: KindHostKey, Reason: "a naked hash, as servers sign in a key exchange"}
	}
	login, userauth, reason := parseLogin(untrustedData, requestKey, flags)
	if login != nil {
		return SignData{Kind: KindLogin, Login: login}
	}
	if userauth {
		return SignData{Reason: reason}
	}
	return parseByFirstString(untrustedData, requestKey)
}

func parseByFirstString(untrustedData []byte, requestKey Key) SignData {
	c := cursor{rest: untrustedData}
	name := c.string()
	if c.bad {
		return SignData{Reason: "unknown data"}
	}
	if string(name) == proofName {
		if proof := parseProof(c); proof != nil {
			return SignData{Kind: KindHostKey, HostKeyProof: proof, Reason: "proof of a host key"}
		}
		return SignData{Reason: "proof of a host key that is malformed"}
	}
	s, cert, known := lookup(name)
	if !known || !cert {
		return SignData{Reason: "unknown data"}
	}
	t, _, ok := parseCertificate(&c, s)
	if !ok || !c.done() || !requestKey.Is(t.SignatureKey) {
		return SignData{Reason: "certificate that is malformed or names another authority"}
	}
	return SignData{Kind: KindCertificate, Certificate: t}
}

// looksLikeExchangeHash: the sizes of SHA-1, SHA-256, SHA-384 and SHA-512. A
// server signs exactly its exchange hash ([RFC4253] section 8), and such a
// signature by this key would let the client pose as a host that has it.
func looksLikeExchangeHash(data []byte) bool {
	switch len(data) {
	case 20, 32, 48, 64:
		return true
	default:
		return false
	}
}

// Encode is the data a known form was parsed from; nil for KindRaw and for a
// naked exchange hash, which have no parts.
func (d SignData) Encode() []byte {
	switch {
	case d.Login != nil:
		return d.Login.Encode()
	case d.SSHSIG != nil:
		return d.SSHSIG.Encode()
	case d.Certificate != nil:
		return d.Certificate.Encode()
	case d.HostKeyProof != nil:
		return d.HostKeyProof.Encode()
	default:
		return nil
	}
}
