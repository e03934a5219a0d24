package passproto

import (
	"fmt"
	"strings"
)

const hexDigits = "0123456789ABCDEF"

// plain tells whether a byte stands for itself in an argument.
func plain(c byte) bool { return 0x21 <= c && c <= 0x7e && c != '%' }

// escape spells an argument.
func escape(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for i := range len(s) {
		if c := s[i]; plain(c) {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', hexDigits[c>>4], hexDigits[c&15]})
		}
	}
	return b.String()
}

// unescape reads an argument, and refuses whatever escape would not have written.
func unescape(untrusted string) (string, error) {
	var b strings.Builder
	b.Grow(len(untrusted))
	for i := 0; i < len(untrusted); i++ {
		c := untrusted[i]
		if plain(c) {
			b.WriteByte(c)
			continue
		}
		if c != '%' || i+2 >= len(untrusted) {
			return "", fmt.Errorf("byte %#02x (write %%XX, with capitals): %w", c, ErrRequest)
		}
		high, low := strings.IndexByte(hexDigits, untrusted[i+1]), strings.IndexByte(hexDigits, untrusted[i+2])
		decoded := byte(high<<4 | low)
		if high < 0 || low < 0 || plain(decoded) {
			return "", fmt.Errorf("%.3q stands for no byte that needs it: %w", untrusted[i:], ErrRequest)
		}
		b.WriteByte(decoded)
		i += 2
	}
	return b.String(), nil
}
