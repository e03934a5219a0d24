package strictjson

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// MaxDepth is how deep arrays and objects may lie in each other.
	MaxDepth = 64
	// MaxValues bounds the values and keys of one text: each takes some 80 bytes.
	MaxValues = 1 << 18
	// maxNumber bounds a number as written, in bytes: 2 to the 256th has 78 digits.
	maxNumber = 128
)

var (
	// ErrSyntax says that a text is not JSON, or JSON that programs read differently.
	ErrSyntax = errors.New("not strict JSON")
	// ErrTooMuch says that a text is too deep or has too many values.
	ErrTooMuch = errors.New("more JSON than is taken")
)

// Parse reads a text of one value. Its error never has more of the text in it
// than the name of a key, quoted and cut.
func Parse(untrusted []byte) (Value, error) {
	p := parser{text: untrusted}
	p.blanks()
	v, err := p.value(0)
	if err != nil {
		return Value{}, err
	}
	if p.blanks(); p.at < len(p.text) {
		return Value{}, p.wrong("something follows the value")
	}
	return v, nil
}

type parser struct {
	text   []byte
	at     int // offset of the next byte
	values int // read so far, with keys
}

func (p *parser) wrong(why string) error {
	return fmt.Errorf("%w: byte %d: %s", ErrSyntax, p.at, why)
}

func (p *parser) blanks() {
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.at]) >= 0 {
		p.at++
	}
}

// next returns the next byte without taking it, 0 at the end: no JSON has a 0
// outside of a mistake.
func (p *parser) next() byte {
	if p.at < len(p.text) {
		return p.text[p.at]
	}
	return 0
}

func (p *parser) count() error {
	if p.values++; p.values > MaxValues {
		return fmt.Errorf("%w: over %d values", ErrTooMuch, MaxValues)
	}
	return nil
}

// value reads a value; depth is that of what it lies in.
func (p *parser) value(depth int) (Value, error) {
	if err := p.count(); err != nil {
		return Value{}, err
	}
	switch c := p.next(); {
	case c == '{' || c == '[':
		if depth == MaxDepth {
			return Value{}, fmt.Errorf("%w: deeper than %d", ErrTooMuch, MaxDepth)
		}
		p.at++
		if c == '{' {
			return p.object(depth + 1)
		}
		return p.array(depth + 1)
	case c == '"':
		text, err := p.string()
		return Value{kind: String, text: text}, err
	case c == '-' || digit(c):
		return p.number()
	default:
		return p.word()
	}
}

func (p *parser) word() (Value, error) {
	for _, v := range []Value{{kind: Null, text: "null"}, {kind: Bool, text: "true"}, {kind: Bool, text: "false"}} {
		if bytes.HasPrefix(p.text[p.at:], []byte(v.text)) {
			p.at += len(v.text)
			return v, nil
		}
	}
	return Value{}, p.wrong("no value")
}

func (p *parser) array(depth int) (Value, error) {
	v := Value{kind: Array}
	if p.blanks(); p.next() == ']' {
		p.at++
		return v, nil
	}
	for {
		p.blanks()
		item, err := p.value(depth)
		if err != nil {
			return Value{}, err
		}
		v.items = append(v.items, item)
		if more, err := p.more(']'); err != nil || !more {
			return v, err
		}
	}
}

func (p *parser) object(depth int) (Value, error) {
	v := Value{kind: Object}
	if p.blanks(); p.next() == '}' {
		p.at++
		return v, nil
	}
	seen := map[string]bool{}
	for {
		p.blanks()
		key, err := p.key(seen)
		if err != nil {
			return Value{}, err
		}
		item, err := p.value(depth)
		if err != nil {
			return Value{}, err
		}
		v.keys, v.items = append(v.keys, key), append(v.items, item)
		if more, err := p.more('}'); err != nil || !more {
			return v, err
		}
	}
}

// key reads a key and the colon behind it.
func (p *parser) key(seen map[string]bool) (string, error) {
	if p.next() != '"' {
		return "", p.wrong("no key")
	}
	if err := p.count(); err != nil {
		return "", err
	}
	key, err := p.string()
	if err != nil {
		return "", err
	}
	folded := Fold(key)
	if seen[folded] {
		return "", p.wrong(fmt.Sprintf("the key %.40q appears twice", key))
	}
	seen[folded] = true
	if p.blanks(); p.next() != ':' {
		return "", p.wrong("no colon after a key")
	}
	p.at++
	p.blanks()
	return key, nil
}

// more reads what stands between two values of a list, or its end.
func (p *parser) more(end byte) (bool, error) {
	p.blanks()
	switch p.next() {
	case ',':
		p.at++
		return true, nil
	case end:
		p.at++
		return false, nil
	default:
		return false, p.wrong("neither a comma nor the end of the list")
	}
}

func (p *parser) number() (Value, error) {
	begin := p.at
	if p.next() == '-' {
		p.at++
	}
	if p.next() == '0' {
		p.at++
	} else if !p.digits() {
		return Value{}, p.wrong("no digit in a number")
	}
	if p.next() == '.' {
		p.at++
		if !p.digits() {
			return Value{}, p.wrong("no digit after a point")
		}
	}
	if c := p.next(); c == 'e' || c == 'E' {
		p.at++
		if c := p.next(); c == '+' || c == '-' {
			p.at++
		}
		if !p.digits() {
			return Value{}, p.wrong("no digit in an exponent")
		}
	}
	if p.at-begin > maxNumber {
		return Value{}, fmt.Errorf("%w: a number of over %d digits", ErrTooMuch, maxNumber)
	}
	return Value{kind: Number, text: string(p.text[begin:p.at])}, nil
}

func (p *parser) digits() bool {
	begin := p.at
	for digit(p.next()) {
		p.at++
	}
	return p.at > begin
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

// Fold returns a key the way encoding/json compares keys: each letter stands for
// the smallest of those that differ from it only in case (encoding/json, fold.go).
func Fold(key string) string {
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' {
			return r - 'a' + 'A'
		}
		if r < utf8.RuneSelf {
			return r
		}
		for next := unicode.SimpleFold(r); ; next = unicode.SimpleFold(r) {
			if next <= r {
				return next
			}
			r = next
		}
	}, key)
}
