package jsonrpc

import (
	"fmt"
	"strconv"

	"github.com/splitvault/splitvault/pkg/strictjson"
)

// Code says what kind of error an [Error] is.
type Code int

// Codes of JSON-RPC, of EIP-1474 (server, timed out) and EIP-1193 (4001 on).
// Clients try again after others, and ask a person again.
const (
	CodeParse        Code = -32700
	CodeInvalid      Code = -32600
	CodeNoMethod     Code = -32601
	CodeParams       Code = -32602
	CodeServer       Code = -32000 // whatever Clef itself says
	CodeTimedOut     Code = -32002 // Clef's, after 29.9 s over HTTP
	CodeUserDenied   Code = 4001   // the message begins "User denied": ethers looks for that
	CodeUnauthorized Code = 4100
	CodeUnsupported  Code = 4200
	CodeDisconnected Code = 4900
)

// maxMessage bounds the text of another program's error, in bytes.
const maxMessage = 4096

// Error is an answer that says no.
type Error struct {
	Code    Code
	Message string // valid UTF-8
	Data    string // more about it, for programmers; "" for none
}

// Errorf returns an error. What comes of a peer belongs in %q.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Error is the message with its code.
func (e *Error) Error() string { return fmt.Sprintf("%s (%d)", e.Message, e.Code) }

func (e *Error) append(to []byte) []byte {
	to = append(to, `{"code":`...)
	to = strconv.AppendInt(to, int64(e.Code), 10)
	to = append(to, `,"message":`...)
	to = strictjson.AppendString(to, e.Message)
	if e.Data != "" {
		to = append(to, `,"data":`...)
		to = strictjson.AppendString(to, e.Data)
	}
	return append(to, '}')
}

// parseError reads the error of a reply; data that is no text is left out.
func parseError(v strictjson.Value) (*Error, error) {
	code, _ := v.Get("code")
	message, _ := v.Get("message")
	data, _ := v.Get("data")
	number, err := strconv.Atoi(code.Text())
	switch {
	case v.Kind() != strictjson.Object || code.Kind() != strictjson.Number || err != nil:
		return nil, fmt.Errorf("%w: an error without code", ErrReply)
	case message.Kind() != strictjson.String:
		return nil, fmt.Errorf("%w: an error without message", ErrReply)
	case len(message.Text()) > maxMessage || len(data.Text()) > maxMessage:
		return nil, fmt.Errorf("%w: an error of over %d bytes", ErrReply, maxMessage)
	}
	e := &Error{Code: Code(number), Message: message.Text()}
	if data.Kind() == strictjson.String {
		e.Data = data.Text()
	}
	return e, nil
}
