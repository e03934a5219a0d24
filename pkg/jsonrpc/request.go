package jsonrpc

import (
	"strings"

	"github.com/splitvault/splitvault/pkg/strictjson"
)

const (
	// MaxBody bounds a request or a batch, in bytes, as Clef's HTTP server does
	// (go-ethereum rpc/http.go).
	MaxBody = 5 << 20
	// MaxBatch bounds the requests of a batch: each may be a question to a person.
	MaxBatch = 32
	// maxMethod leaves room for qrexec's 255 bytes of SERVICE+ARG.
	maxMethod = 64
)

// Request is one call of a method.
type Request struct {
	ID     ID
	Method string // letters, digits and "_"
	Params []strictjson.Value
}

// Call is one member of a body.
type Call struct {
	Request Request
	// Err says why it is no request; of Request only ID counts then, null if it
	// has none that could be read.
	Err *Error
}

// Body is what a client sent: one call, or a batch of some.
type Body struct {
	Batch bool
	Calls []Call // at least one
}

// Parse reads the body of a client. Each of its calls is to be answered, in
// their order, those with an error by it.
func Parse(untrusted []byte) Body {
	v, err := parse(untrusted)
	if err != nil {
		return Body{Calls: []Call{{Err: err}}}
	}
	if v.Kind() != strictjson.Array {
		return Body{Calls: []Call{call(v)}}
	}
	if len(v.Items()) == 0 {
		return Body{Calls: []Call{{Err: Errorf(CodeInvalid, "empty batch")}}}
	}
	body := Body{Batch: true}
	for _, item := range v.Items() {
		c := call(item)
		if len(v.Items()) > MaxBatch {
			c = Call{Request: Request{ID: c.Request.ID}, Err: Errorf(CodeInvalid, "batch too large: at most %d requests", MaxBatch)}
		}
		body.Calls = append(body.Calls, c)
	}
	return body
}

// ParseOne reads a text of exactly one request.
func ParseOne(untrusted []byte) Call {
	v, err := parse(untrusted)
	switch {
	case err != nil:
		return Call{Err: err}
	case v.Kind() == strictjson.Array:
		return Call{Err: Errorf(CodeInvalid, "invalid request: a batch, where one request is wanted")}
	default:
		return call(v)
	}
}

func parse(untrusted []byte) (strictjson.Value, *Error) {
	if len(untrusted) > MaxBody {
		return strictjson.Value{}, Errorf(CodeInvalid, "request too large: over %d bytes", MaxBody)
	}
	v, err := strictjson.Parse(untrusted)
	if err != nil {
		return strictjson.Value{}, Errorf(CodeParse, "parse error: %v", err)
	}
	return v, nil
}

// call reads one request.
func call(v strictjson.Value) Call {
	if v.Kind() != strictjson.Object {
		return Call{Err: Errorf(CodeInvalid, "invalid request: %v, where an object is wanted", v.Kind())}
	}
	id, hasID := idOf(v)
	if !hasID {
		return Call{Err: Errorf(CodeInvalid, "invalid request: id must be a text, a number or null, of at most %d bytes", maxID)}
	}
	request := Request{ID: id}
	if err := request.fill(v); err != nil {
		return Call{Request: Request{ID: id}, Err: err}
	}
	return Call{Request: request}
}

func (r *Request) fill(v strictjson.Value) *Error {
	for _, key := range v.Keys() {
		switch key {
		case "jsonrpc", "id", "method", "params":
		default:
			return Errorf(CodeInvalid, "invalid request: unknown key %.40q", key)
		}
	}
	if version, _ := v.Get("jsonrpc"); version.Kind() != strictjson.String || version.Text() != "2.0" {
		return Errorf(CodeInvalid, `invalid request: "jsonrpc" must be "2.0"`)
	}
	method, _ := v.Get("method")
	switch name := method.Text(); {
	case method.Kind() != strictjson.String || name == "":
		return Errorf(CodeInvalid, "invalid request: method must be a text")
	case !ValidMethod(name):
		return Errorf(CodeNoMethod, "the method %.40q does not exist", name)
	default:
		r.Method = name
	}
	params, _ := v.Get("params")
	switch params.Kind() {
	case strictjson.Array:
		r.Params = params.Items()
	case strictjson.Null, 0: // some clients write null, or nothing, for none
	default:
		return Errorf(CodeParams, "invalid params: %v, where a list is wanted", params.Kind())
	}
	for _, p := range r.Params {
		if text, odd := p.OddNumber(); odd {
			return Errorf(CodeParams, "invalid params: the number %s: write it as a text", text)
		}
	}
	return nil
}

// ValidMethod tells whether a name can be a method's: up to 64 letters, digits
// and "_".
func ValidMethod(name string) bool {
	return name != "" && len(name) <= maxMethod && !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_'
	})
}

// Append writes the request with another id, in the one spelling of what was read.
func (r Request) Append(to []byte, id ID) []byte {
	to = append(to, `{"jsonrpc":"2.0","id":`...)
	to = append(to, id.String()...)
	to = append(to, `,"method":"`...)
	to = append(to, r.Method...)
	to = append(to, `","params":`...)
	return append(r.AppendParams(to), '}')
}

// AppendParams writes the params as a list.
func (r Request) AppendParams(to []byte) []byte {
	to = append(to, '[')
	for i, p := range r.Params {
		if i > 0 {
			to = append(to, ',')
		}
		to = p.Append(to)
	}
	return append(to, ']')
}
