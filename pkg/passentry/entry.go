// Package passentry finds the parts of an entry's text: the password in the first
// line, then lines "key: value" and the otpauth:// address of one-time codes.
//
// It works on the bytes where they are and copies none of them, so that a secret
// stays in the locked memory that it was decrypted to.
package passentry

import (
	"bytes"
	"errors"

	"github.com/splitvault/splitvault/pkg/entryname"
)

// ErrNoField says that the entry has no such field, or none that may be given.
var ErrNoField = errors.New("no such field")

// Field returns a part of the text, for any field but [entryname.OTP]: a slice of
// it. What codes are computed from is no field, by whatever name: neither an
// otpauth:// address nor the value of a key such as "totp".
func Field(text []byte, field entryname.Field) ([]byte, error) {
	var found []byte
	n := 0
	for line := range bytes.Lines(text) {
		n++
		line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
		if value, match := part(line, n, field); match {
			found = value
			if len(found) == 0 || isSeed(line) {
				return nil, ErrNoField
			}
			return found, nil
		}
	}
	return nil, ErrNoField
}

// part tells whether the field is in line n.
func part(line []byte, n int, field entryname.Field) (value []byte, match bool) {
	switch wanted := field.Line(); {
	case field == entryname.Password:
		return line, n == 1
	case wanted != 0:
		return line, n == wanted
	case n == 1:
		return nil, false
	}
	key, value, found := bytes.Cut(line, []byte(":"))
	key = bytes.TrimSpace(key)
	if !found || !is(key, field) {
		return nil, false
	}
	return bytes.TrimSpace(value), true
}

// is tells whether a line's key means the field.
func is(key []byte, field entryname.Field) bool {
	for _, name := range field.Keys() {
		if bytes.EqualFold(key, []byte(name)) {
			return true
		}
	}
	return false
}

// isSeed tells whether codes are computed from the line.
func isSeed(line []byte) bool {
	if at := bytes.IndexByte(line, ':'); at >= 0 && is(bytes.TrimSpace(line[:at]), entryname.OTP) {
		return true
	}
	// The second is what authenticators write to move seeds to another, the third what
	// Steam's codes are computed from.
	for _, scheme := range []string{"otpauth://", "otpauth-migration://", "steam://"} {
		for i := range len(line) - len(scheme) + 1 {
			if bytes.EqualFold(line[i:i+len(scheme)], []byte(scheme)) {
				return true
			}
		}
	}
	return false
}
