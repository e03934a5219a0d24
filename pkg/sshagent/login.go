package sshagent

import "bytes"

// Methods of a login.
const (
	MethodPublicKey = "publickey"
	// MethodHostbound is [PROTOCOL] section 3.1: the data names the server's host key.
	MethodHostbound = "publickey-hostbound-v00@openssh.com"
)

// serviceConnection is the only service of a login ([RFC4252] section 7, RFC
// 4254). pam_ssh_agent_auth signs the same form with a name of its own.
const serviceConnection = "ssh-connection"

// msgUserauthRequest is SSH_MSG_USERAUTH_REQUEST ([RFC4252] section 6).
const msgUserauthRequest = 50

// Login is what a client signs to log in: [RFC4252] section 7, or hostbound,
// [PROTOCOL] section 3.1.
type Login struct {
	SessionID []byte // 1 to MaxSessionID bytes
	User      string // the client's bytes: quote when shown
	Service   string // always "ssh-connection"
	Method    string // MethodPublicKey or MethodHostbound
	Algorithm string
	Key       []byte // blob of the request's key, or of a certificate for it
	HostKey   []byte // blob of the server's key; nil unless hostbound
}

// Hostbound reports whether the data names the server's host key.
func (l *Login) Hostbound() bool { return l.Method == MethodHostbound }

// parseLogin reads the form. userauth tells whether it is some user
// authentication request at all; reason why it is not a login that is known.
func parseLogin(untrustedData []byte, k Key, flags uint32) (login *Login, userauth bool, reason string) {
	c := cursor{rest: untrustedData}
	sessionID := c.string()
	kind := c.uint8()
	if c.bad || kind != msgUserauthRequest || len(sessionID) == 0 || len(sessionID) > MaxSessionID {
		return nil, false, ""
	}
	user, service, untrustedMethod := c.string(), c.string(), c.string()
	if c.bad {
		return nil, false, ""
	}
	if string(service) != serviceConnection {
		return nil, true, "authentication for another service than ssh-connection"
	}
	if bytes.IndexByte(user, 0) >= 0 {
		return nil, true, "authentication of a user whose name has a NUL byte"
	}
	method := ""
	switch string(untrustedMethod) {
	case MethodPublicKey:
		method = MethodPublicKey
	case MethodHostbound:
		method = MethodHostbound
	case "hostbased":
		return nil, true, "host-based authentication"
	default:
		return nil, true, "authentication by an unknown method"
	}
	signed := c.uint8()
	algorithm, blob := c.string(), c.string()
	var hostKey []byte
	if method == MethodHostbound {
		hostKey = c.string()
	}
	if !c.done() || signed != 1 {
		return nil, true, "authentication request that is malformed"
	}
	name, ok := loginAlgorithm(algorithm, blob, k, flags)
	if !ok {
		return nil, true, "authentication with another key or algorithm than the request's"
	}
	if method == MethodHostbound {
		if _, err := ParseKey(hostKey); err != nil {
			return nil, true, "authentication bound to a malformed host key"
		}
	}
	return &Login{
		SessionID: sessionID, User: string(user), Service: serviceConnection, Method: method,
		Algorithm: name, Key: blob, HostKey: hostKey,
	}, true, ""
}

// loginAlgorithm judges algorithm and public key inside the data: the key is the
// request's or a certificate for it, the algorithm is the one for that key and
// these flags. Public key algorithms of certificates carry the certificate's
// suffix, those of RSA the hash (RFC 8332 section 3).
func loginAlgorithm(algorithm, blob []byte, k Key, flags uint32) (name string, ok bool) {
	inData := k
	if !k.Is(blob) {
		var err error
		if inData, err = ParseKey(blob); err != nil {
			return "", false
		}
		if inData.Cert == nil || !k.Is(inData.PlainBlob()) {
			return "", false
		}
	}
	want := inData.Format
	if k.family == familyRSA {
		format, err := k.signatureFormat(flags)
		if err != nil {
			return "", false
		}
		want = format
		if inData.Certificate {
			want += certSuffix
		}
	} else if flags != 0 {
		return "", false
	}
	return want, string(algorithm) == want
}

// Encode is the data that is signed.
func (l *Login) Encode() []byte {
	b := appendString(nil, l.SessionID)
	b = append(b, msgUserauthRequest)
	b = appendString(b, l.User)
	b = appendString(b, l.Service)
	b = appendString(b, l.Method)
	b = append(b, 1) // has a signature
	b = appendString(b, l.Algorithm)
	b = appendString(b, l.Key)
	if l.Hostbound() {
		b = appendString(b, l.HostKey)
	}
	return b
}
