package sshagent

import "fmt"

// BindRequest ties a connection to an SSH session ([PROTOCOL.agent],
// session-bind@openssh.com): the client says that this connection was made for
// (or, if Forwarding, is forwarded to) the host with this key in this session.
type BindRequest struct {
	HostKey    []byte // blob, never empty
	SessionID  []byte // 1 to MaxSessionID bytes
	Signature  []byte // blob; by HostKey over SessionID itself; not verified here
	Forwarding bool
}

// ParseBind takes a session-bind request: string name, string host key, string
// session id, string signature, bool is_forwarding, nothing after. A bool is 0
// or 1 ([RFC4251] section 5).
func ParseBind(untrusted Frame) (BindRequest, error) {
	if untrusted.Type() != TypeExtension {
		return BindRequest{}, fmt.Errorf("parsing a binding: %w: got %v", ErrMalformed, untrusted.Type())
	}
	c := cursor{rest: untrusted.Body()}
	name := c.string()
	b := BindRequest{HostKey: c.string(), SessionID: c.string(), Signature: c.string()}
	forwarding := c.uint8()
	if !c.done() || string(name) != ExtensionBind || forwarding > 1 || len(b.HostKey) == 0 {
		return BindRequest{}, fmt.Errorf("parsing a binding: %w", ErrMalformed)
	}
	if len(b.SessionID) == 0 || len(b.SessionID) > MaxSessionID {
		return BindRequest{}, fmt.Errorf("parsing a binding: %w: session id of %d bytes", ErrMalformed, len(b.SessionID))
	}
	b.Forwarding = forwarding == 1
	return b, nil
}

// Frame is the request as a message. It fails with ErrTooLarge beyond MaxRequest.
func (b BindRequest) Frame() (Frame, error) {
	size := 1 + 4 + len(ExtensionBind) + 4 + len(b.HostKey) + 4 + len(b.SessionID) + 4 + len(b.Signature) + 1
	if size > MaxRequest {
		return Frame{}, fmt.Errorf("building a binding: %w: %d bytes", ErrTooLarge, size)
	}
	body := appendString(make([]byte, 0, size-1), ExtensionBind)
	body = appendString(body, b.HostKey)
	body = appendString(body, b.SessionID)
	body = appendString(body, b.Signature)
	return newFrame(TypeExtension, appendBool(body, b.Forwarding)), nil
}
