package audit

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/splitvault/splitvault/pkg/journal"
)

// ErrDamaged says that bytes are no line that this package wrote.
var ErrDamaged = errors.New("not a line of the audit file")

// Parse reads a line, without its newline. It takes exactly what Encode
// writes: the same values can be written in one way only, so that no other bytes
// pass for a line.
func Parse(untrusted []byte) (Line, error) {
	if len(untrusted) > MaxLine {
		return Line{}, fmt.Errorf("%w: longer than %d bytes", ErrDamaged, MaxLine)
	}
	p := parser{rest: untrusted}
	l := p.line()
	if p.failed || len(p.rest) > 0 || !bytes.Equal(l.Encode(), untrusted) {
		return Line{}, ErrDamaged
	}
	return l, nil
}

// parser takes a line apart from the left. After a failure it yields nothing.
type parser struct {
	rest   []byte
	failed bool
}

func (p *parser) line() Line {
	var l Line
	p.literal(`{"time":`)
	l.Time = p.time()
	p.literal(`,"seq":`)
	l.Seq = p.number()
	p.literal(`,"daemon":`)
	l.Daemon = p.text()
	p.literal(`,"level":`)
	l.Level = p.text()
	p.literal(`,"message":`)
	l.Message = p.text()
	for _, name := range journal.Fields() {
		if key := `,"` + name + `":`; bytes.HasPrefix(p.rest, []byte(key)) {
			p.literal(key)
			if l.Fields == nil {
				l.Fields = make(map[string]string, 8)
			}
			l.Fields[name] = p.text()
		}
	}
	p.literal(`,"anchored":`)
	l.Anchored = p.time()
	p.literal(`,"prev":`)
	l.Prev = p.hash()
	p.literal(`}`)
	return l
}

func (p *parser) literal(s string) {
	rest, ok := bytes.CutPrefix(p.rest, []byte(s))
	p.rest, p.failed = rest, p.failed || !ok
}

func (p *parser) number() uint64 {
	n := 0
	for n < len(p.rest) && '0' <= p.rest[n] && p.rest[n] <= '9' {
		n++
	}
	v, err := strconv.ParseUint(string(p.rest[:n]), 10, 64)
	p.rest, p.failed = p.rest[n:], p.failed || err != nil
	return v
}

func (p *parser) time() time.Time {
	t, err := time.Parse(timeLayout, p.text())
	p.failed = p.failed || err != nil
	return t
}

func (p *parser) hash() (h Hash) {
	s := p.text()
	if len(s) != hex.EncodedLen(len(h)) {
		p.failed = true
		return h
	}
	_, err := hex.Decode(h[:], []byte(s))
	p.failed = p.failed || err != nil
	return h
}

// text reads a string as appendString writes it.
func (p *parser) text() string {
	p.literal(`"`)
	var s strings.Builder
	for !p.failed && len(p.rest) > 0 {
		c := p.rest[0]
		switch {
		case c == '"':
			p.rest = p.rest[1:]
			return s.String()
		case c == '\\':
			s.WriteRune(p.escape())
		case c < ' ' || c > '~':
			p.failed = true
		default:
			s.WriteByte(c)
			p.rest = p.rest[1:]
		}
	}
	p.failed = true
	return ""
}

func (p *parser) escape() rune {
	if len(p.rest) > 1 && p.rest[1] != 'u' {
		c := p.rest[1]
		p.rest = p.rest[2:]
		return rune(c) // Encode would not have escaped another: found out there
	}
	r := p.unit()
	if !utf16.IsSurrogate(r) {
		return r
	}
	return utf16.DecodeRune(r, p.unit())
}

func (p *parser) unit() rune {
	if len(p.rest) < 6 || p.rest[0] != '\\' || p.rest[1] != 'u' {
		p.failed = true
		return 0
	}
	v, err := strconv.ParseUint(string(p.rest[2:6]), 16, 16)
	p.rest, p.failed = p.rest[6:], p.failed || err != nil
	return rune(v)
}
