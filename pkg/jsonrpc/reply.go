package jsonrpc

import (
	"errors"
	"fmt"

	"github.com/splitvault/splitvault/pkg/strictjson"
)

// MaxReply bounds a reply, in bytes: Clef's answer to account_signTransaction has
// the call data twice.
const MaxReply = 16 << 20

// ErrReply says that a text is no reply of JSON-RPC.
var ErrReply = errors.New("not a reply of JSON-RPC")

// Reply answers one request.
type Reply struct {
	ID     ID
	Result strictjson.Value // if Err is nil
	Err    *Error
}

// ParseReply reads the reply to one request.
func ParseReply(untrusted []byte) (Reply, error) {
	if len(untrusted) > MaxReply {
		return Reply{}, fmt.Errorf("%w: over %d bytes", ErrReply, MaxReply)
	}
	v, err := strictjson.Parse(untrusted)
	if err != nil {
		return Reply{}, fmt.Errorf("%w: %w", ErrReply, err)
	}
	version, _ := v.Get("jsonrpc")
	id, hasID := idOf(v)
	result, hasResult := v.Get("result")
	failure, hasError := v.Get("error")
	switch {
	case v.Kind() != strictjson.Object:
		return Reply{}, fmt.Errorf("%w: %v", ErrReply, v.Kind())
	case version.Kind() != strictjson.String || version.Text() != "2.0":
		return Reply{}, fmt.Errorf(`%w: "jsonrpc" is not "2.0"`, ErrReply)
	case !hasID:
		return Reply{}, fmt.Errorf("%w: no id", ErrReply)
	case hasResult == hasError || len(v.Keys()) != 3:
		return Reply{}, fmt.Errorf("%w: not either a result or an error", ErrReply)
	case hasResult:
		return Reply{ID: id, Result: result}, nil
	}
	e, err := parseError(failure)
	if err != nil {
		return Reply{}, err
	}
	return Reply{ID: id, Err: e}, nil
}

// Append writes the reply with another id, such as the one its caller gave.
func (r Reply) Append(to []byte, id ID) []byte {
	to = append(to, `{"jsonrpc":"2.0","id":`...)
	to = append(to, id.String()...)
	if r.Err != nil {
		return append(r.Err.append(append(to, `,"error":`...)), '}')
	}
	return append(r.Result.Append(append(to, `,"result":`...)), '}')
}
