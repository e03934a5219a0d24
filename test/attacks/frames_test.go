package attacks

import (
	"crypto/ed25519"
	"encoding/binary"
	"testing"

	"golang.org/x/crypto/ssh"
)

// Messages of the agent protocol, written out anew: what is under test must not
// be what makes the bytes.
const (
	failure          = 5
	success          = 6
	list             = 11
	listAnswer       = 12
	sign             = 13
	signAnswer       = 14
	addIdentity      = 17
	removeIdentity   = 18
	removeAll        = 19
	addSmartcard     = 20
	removeAllSSH1    = 9
	lock             = 22
	addConstrained   = 25
	addSmartcardCon  = 26
	extension        = 27
	extensionFailure = 28
)

// message is the type and body behind their length.
func message(kind byte, body ...[]byte) []byte {
	m := []byte{0, 0, 0, 0, kind}
	for _, b := range body {
		m = append(m, b...)
	}
	binary.BigEndian.PutUint32(m, uint32(len(m)-4))
	return m
}

// str is a string of RFC 4251.
func str[S string | []byte](s S) []byte {
	return append(u32(uint32(len(s))), s...)
}

func u32(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

func signRequest(key ssh.PublicKey, data []byte, flags uint32) []byte {
	return message(sign, str(key.Marshal()), str(data), u32(flags))
}

// fileSignature is what ssh-keygen -Y sign has signed.
func fileSignature() []byte {
	hash := make([]byte, 64)
	return concat([]byte("SSHSIG"), str("file"), str(""), str("sha512"), str(hash))
}

// login is what a client signs to log in with a key by plain publickey, or by
// publickey-hostbound where a host key is given.
func login(session []byte, key ssh.PublicKey, host ssh.PublicKey) []byte {
	method := "publickey"
	var last []byte
	if host != nil {
		method, last = "publickey-hostbound-v00@openssh.com", str(host.Marshal())
	}
	return concat(str(session), []byte{50}, str("root"), str("ssh-connection"), str(method), []byte{1}, str(key.Type()), str(key.Marshal()), last)
}

// binding ties a connection to a session, signed by a host key.
func binding(t *testing.T, host ed25519.PrivateKey, session []byte) []byte {
	t.Helper()
	signature := concat(str("ssh-ed25519"), str(ed25519.Sign(host, session)))
	return message(extension, str("session-bind@openssh.com"), str(public(t, host).Marshal()), str(session), str(signature), []byte{0})
}

func public(t *testing.T, private any) ssh.PublicKey {
	t.Helper()
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return signer.PublicKey()
}

// signed checks that an answer is a signature by the key over the data, and
// returns the signature's format.
func signed(key ssh.PublicKey, data, answer []byte) (format string, ok bool) {
	if len(answer) < 5 || answer[0] != signAnswer || int(binary.BigEndian.Uint32(answer[1:])) != len(answer)-5 {
		return "", false
	}
	var signature ssh.Signature
	if err := ssh.Unmarshal(answer[5:], &signature); err != nil {
		return "", false
	}
	return signature.Format, key.Verify(data, &signature) == nil
}

func concat(parts ...[]byte) []byte {
	var all []byte
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}
