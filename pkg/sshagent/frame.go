package sshagent

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Errors of frames and parsers. Test with errors.Is.
var (
	// ErrEmpty: a length of 0, which leaves no room for the type byte.
	ErrEmpty = errors.New("message of length 0")
	// ErrTooLarge: a length above the cap of that direction.
	ErrTooLarge = errors.New("message too large")
	// ErrSlow: a message that began and did not end in time.
	ErrSlow = errors.New("message not complete in time")
	// ErrMalformed: bytes that are not what their place in the protocol asks for.
	ErrMalformed = errors.New("malformed")
)

// headerLen is the size of the length before each message.
const headerLen = 4

// Frame is one complete message. Frames are made by Reader, ParseFrame and the
// builders of this package only, and never change. The zero Frame is no
// message: it has type 0 and no bytes.
type Frame struct {
	wire []byte // length, type, body
}

// Type is the type of the message.
func (f Frame) Type() MessageType {
	if len(f.wire) <= headerLen {
		return 0
	}
	return MessageType(f.wire[headerLen])
}

// Body is what follows the type byte. The caller must not change it.
func (f Frame) Body() []byte {
	if len(f.wire) <= headerLen {
		return nil
	}
	return f.wire[headerLen+1:]
}

// Bytes is the message as on the wire, its length included: what was judged and
// what is forwarded are the same bytes. The caller must not change them.
func (f Frame) Bytes() []byte {
	return f.wire
}

// ParseFrame takes b, which must hold exactly one message and its length, of at
// most max bytes (not counting the length). The bytes are copied.
//
// Errors: io.ErrUnexpectedEOF (b ends early), ErrEmpty, ErrTooLarge,
// ErrMalformed (something follows the message).
func ParseFrame(untrusted []byte, maxLen int) (Frame, error) {
	if len(untrusted) < headerLen {
		return Frame{}, fmt.Errorf("parsing a frame: length cut short: %w", io.ErrUnexpectedEOF)
	}
	n, err := bodyLen(untrusted, maxLen)
	if err != nil {
		return Frame{}, fmt.Errorf("parsing a frame: %w", err)
	}
	switch got := len(untrusted) - headerLen; {
	case got < n:
		return Frame{}, fmt.Errorf("parsing a frame: %d of %d bytes: %w", got, n, io.ErrUnexpectedEOF)
	case got > n:
		return Frame{}, fmt.Errorf("parsing a frame: %w: %d bytes after the message", ErrMalformed, got-n)
	}
	wire := make([]byte, len(untrusted))
	copy(wire, untrusted)
	return Frame{wire}, nil
}

// bodyLen reads the length at the start of a message and judges it before
// anything is allocated.
func bodyLen(untrustedHeader []byte, maxLen int) (int, error) {
	n := binary.BigEndian.Uint32(untrustedHeader)
	if n == 0 {
		return 0, ErrEmpty
	}
	if uint64(n) > uint64(max(maxLen, 0)) {
		return 0, fmt.Errorf("%w: %d bytes, at most %d are taken", ErrTooLarge, n, maxLen)
	}
	return int(n), nil
}

// newFrame builds a message of type t; the caller has judged the body's length.
func newFrame(t MessageType, body []byte) Frame {
	wire := make([]byte, headerLen+1, headerLen+1+len(body))
	binary.BigEndian.PutUint32(wire, uint32(1+len(body)))
	wire[headerLen] = byte(t)
	return Frame{append(wire, body...)}
}

// Failure is the answer to whatever is refused ([RFC9987] section 3.1).
func Failure() Frame { return newFrame(TypeFailure, nil) }

// Success is the answer to an accepted binding or reset.
func Success() Frame { return newFrame(TypeSuccess, nil) }

// ExtensionFailure is the answer to a known extension that failed, such as a
// bad binding ([RFC9987] section 3.8). Never an answer to REQUEST_IDENTITIES:
// clients take it for an invalid format there.
func ExtensionFailure() Frame { return newFrame(TypeExtensionFailure, nil) }

// RequestIdentities is the request for the list of keys ([RFC9987] section 3.5).
func RequestIdentities() Frame { return newFrame(TypeRequestIdentities, nil) }

// QueryReply is the answer to the "query" extension: the names of the supported
// extensions ([RFC9987] section 3.8.1, in the form of OpenSSH 10: type 29, the
// string "query", then one string per name).
func QueryReply(names ...string) Frame {
	body := appendString(nil, ExtensionQuery)
	for _, name := range names {
		body = appendString(body, name)
	}
	return newFrame(TypeExtensionResponse, body)
}

// Offers tells whether a reply to "query" names an extension.
func Offers(untrusted Frame, extension string) bool {
	if untrusted.Type() != TypeExtensionResponse {
		return false
	}
	c := cursor{rest: untrusted.Body()}
	found := string(c.string()) == ExtensionQuery
	for named := false; ; {
		if c.bad {
			return false
		}
		if len(c.rest) == 0 {
			return found && named
		}
		named = string(c.string()) == extension || named
	}
}

// QueryRequest asks for the supported extensions, ResetRequest for the state that
// a connection begins with ([ExtensionReset]).
func QueryRequest() Frame { return newFrame(TypeExtension, appendString(nil, ExtensionQuery)) }

// ResetRequest is beside QueryRequest.
func ResetRequest() Frame { return newFrame(TypeExtension, appendString(nil, ExtensionReset)) }
