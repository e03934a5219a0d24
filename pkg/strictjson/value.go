package strictjson

import (
	"slices"
	"strconv"
)

// Kind is what a value is.
type Kind byte

// The kinds of JSON. The zero Kind is of the zero Value, which is none.
const (
	Null Kind = iota + 1
	Bool
	Number
	String
	Array
	Object
)

// String names the kind, for messages.
func (k Kind) String() string {
	switch k {
	case Null:
		return "null"
	case Bool:
		return "a boolean"
	case Number:
		return "a number"
	case String:
		return "a text"
	case Array:
		return "a list"
	case Object:
		return "an object"
	default:
		return "nothing"
	}
}

// Value is one value that was read. It is not to be changed.
type Value struct {
	kind  Kind
	text  string // of String: what it stands for; of all that is one word: as written
	keys  []string
	items []Value
}

// Kind returns what the value is.
func (v Value) Kind() Kind { return v.kind }

// Text returns what a String stands for, and a Number, Bool or Null as it was
// written; "" of all else.
func (v Value) Text() string { return v.text }

// Items returns the values of an Array, or those of an Object in the order of
// its Keys.
func (v Value) Items() []Value { return v.items }

// Keys returns the keys of an Object in the order they were read.
func (v Value) Keys() []string { return v.keys }

// Get returns the value of a key of an Object.
func (v Value) Get(key string) (Value, bool) {
	if i := slices.Index(v.keys, key); i >= 0 {
		return v.items[i], true
	}
	return Value{}, false
}

// OddNumber finds, at any depth, a number that programs may read differently: one
// that is not whole, or so large that a float64 rounds it, as JavaScript and some
// of encoding/json do.
func (v Value) OddNumber() (text string, odd bool) {
	const largest = 1<<53 - 1
	if v.kind == Number {
		n, err := strconv.ParseInt(v.text, 10, 64)
		return v.text, err != nil || n > largest || n < -largest || n == 0 && v.text != "0"
	}
	for _, item := range v.items {
		if text, odd := item.OddNumber(); odd {
			return text, true
		}
	}
	return "", false
}

// Append writes the value in its one spelling: without blanks, and with no
// escapes but those that RFC 8259 asks for.
func (v Value) Append(to []byte) []byte {
	switch v.kind {
	case Null, Bool, Number:
		return append(to, v.text...)
	case String:
		return AppendString(to, v.text)
	case Array:
		to = append(to, '[')
		for i, item := range v.items {
			if i > 0 {
				to = append(to, ',')
			}
			to = item.Append(to)
		}
		return append(to, ']')
	case Object:
		to = append(to, '{')
		for i, item := range v.items {
			if i > 0 {
				to = append(to, ',')
			}
			to = append(AppendString(to, v.keys[i]), ':')
			to = item.Append(to)
		}
		return append(to, '}')
	default: // no value was read
		return append(to, "null"...)
	}
}

// AppendString writes valid UTF-8 as a JSON text.
func AppendString(to []byte, text string) []byte {
	const hex = "0123456789abcdef"
	to = append(to, '"')
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"' || c == '\\':
			to = append(to, '\\', c)
		case c >= ' ':
			to = append(to, c)
		case c == '\n':
			to = append(to, '\\', 'n')
		case c == '\r':
			to = append(to, '\\', 'r')
		case c == '\t':
			to = append(to, '\\', 't')
		case c == '\b':
			to = append(to, '\\', 'b')
		case c == '\f':
			to = append(to, '\\', 'f')
		default:
			to = append(to, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(to, '"')
}

// Texts returns an Array of Strings, which must be valid UTF-8.
func Texts(texts []string) Value {
	v := Value{kind: Array}
	for _, t := range texts {
		v.items = append(v.items, Value{kind: String, text: t})
	}
	return v
}
