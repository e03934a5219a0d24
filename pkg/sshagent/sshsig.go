package sshagent

// sshsigMagic begins a file signature ([PROTOCOL.sshsig] section 3).
const sshsigMagic = "SSHSIG"

// SSHSIG is what is signed for a file or a git object ([PROTOCOL.sshsig]
// section 3). The message itself is not part of it.
type SSHSIG struct {
	Namespace string // never empty; "git", "file"… The client's bytes: quote when shown
	HashAlg   string // "sha256" or "sha512"
	Hash      []byte // of the message, 32 or 64 bytes
}

// parseSSHSIG gives nil for what is not exactly the form. The reserved field
// must be empty, as every signer leaves it: what it might mean one day is not
// judged by today's rules.
func parseSSHSIG(untrustedData []byte) *SSHSIG {
	c := cursor{rest: untrustedData[len(sshsigMagic):]}
	namespace, reserved, alg, hash := c.text(), c.string(), c.string(), c.string()
	if !c.done() || len(namespace) == 0 || len(reserved) != 0 {
		return nil
	}
	switch {
	case string(alg) == "sha256" && len(hash) == 32:
		return &SSHSIG{Namespace: namespace, HashAlg: "sha256", Hash: hash}
	case string(alg) == "sha512" && len(hash) == 64:
		return &SSHSIG{Namespace: namespace, HashAlg: "sha512", Hash: hash}
	default:
		return nil
	}
}

// Encode is the data that is signed.
func (s *SSHSIG) Encode() []byte {
	b := append([]byte(nil), sshsigMagic...)
	b = appendString(b, s.Namespace)
	b = appendString(b, "") // reserved
	b = appendString(b, s.HashAlg)
	return appendString(b, s.Hash)
}

// proofName begins a proof of a host key ([PROTOCOL] section 2.5).
const proofName = "hostkeys-prove-00@openssh.com"

// HostKeyProof is what a server signs to show that it has a host key
// ([PROTOCOL] section 2.5, hostkeys-prove-00@openssh.com).
type HostKeyProof struct {
	SessionID []byte
	HostKey   []byte
}

// parseProof reads what follows the name.
func parseProof(c cursor) *HostKeyProof {
	p := &HostKeyProof{SessionID: c.string(), HostKey: c.string()}
	if !c.done() || len(p.SessionID) == 0 || len(p.SessionID) > MaxSessionID {
		return nil
	}
	return p
}

// Encode is the data that is signed.
func (p *HostKeyProof) Encode() []byte {
	b := appendString(nil, proofName)
	b = appendString(b, p.SessionID)
	return appendString(b, p.HostKey)
}
