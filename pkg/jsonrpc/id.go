package jsonrpc

import "github.com/splitvault/splitvault/pkg/strictjson"

// maxID bounds an id as it is written, in bytes.
const maxID = 256

// ID is a request's id as its caller spelled it: JSON of a text, a number or
// null. The zero ID is null.
type ID struct{ raw string }

// TextID returns an id that is a text of valid UTF-8.
func TextID(text string) ID { return ID{string(strictjson.AppendString(nil, text))} }

// String returns the id as JSON.
func (id ID) String() string {
	if id.raw == "" {
		return "null"
	}
	return id.raw
}

// idOf returns the id of a request or reply, if it has one that can be.
func idOf(object strictjson.Value) (ID, bool) {
	v, _ := object.Get("id")
	switch v.Kind() {
	case strictjson.String, strictjson.Number, strictjson.Null:
	default:
		return ID{}, false
	}
	if len(v.Text()) > maxID {
		return ID{}, false
	}
	if raw := v.Append(nil); len(raw) <= maxID {
		return ID{string(raw)}, true
	}
	return ID{}, false
}
