package entryname

import (
	"errors"
	"fmt"
	"strings"
)

// ErrSpelling says that a text is not what [Encode] writes.
var ErrSpelling = errors.New("not the one spelling of a name")

const hexDigits = "0123456789ABCDEF"

// Encode spells any bytes in the alphabet [A-Za-z0-9.+_-].
func Encode(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for i := range len(s) {
		switch c := s[i]; {
		case literal(c):
			b.WriteByte(c)
		case c == '/':
			b.WriteByte('+')
		default:
			b.Write([]byte{'_', hexDigits[c>>4], hexDigits[c&15]})
		}
	}
	return b.String()
}

// Decode is the inverse of [Encode], and refuses whatever Encode would not have
// written. It is spelling only: [Parse] says whether the result is a name.
func Decode(untrusted string) (string, error) {
	var b strings.Builder
	b.Grow(len(untrusted))
	for i := 0; i < len(untrusted); i++ {
		switch c := untrusted[i]; {
		case literal(c):
			b.WriteByte(c)
		case c == '+':
			b.WriteByte('/')
		case c == '_' && i+2 < len(untrusted):
			high, low := strings.IndexByte(hexDigits, untrusted[i+1]), strings.IndexByte(hexDigits, untrusted[i+2])
			decoded := byte(high<<4 | low)
			if high < 0 || low < 0 || literal(decoded) || decoded == '/' {
				return "", fmt.Errorf("decoding %.80q at byte %d: %w", untrusted, i, ErrSpelling)
			}
			b.WriteByte(decoded)
			i += 2
		default:
			return "", fmt.Errorf("decoding %.80q at byte %d: %w", untrusted, i, ErrSpelling)
		}
	}
	return b.String(), nil
}

func literal(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '-'
}
