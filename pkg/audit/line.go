package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/splitvault/splitvault/pkg/journal"
)

const (
	// MaxLine bounds a line of the file, in bytes without the newline.
	MaxLine = 16 << 10
	// maxValue bounds a value in bytes; where a line still is too long, each
	// value is cut to shortValue.
	maxValue   = 4 << 10
	shortValue = 32
	// timeLayout is UTC with microseconds, always of one width.
	timeLayout = "2006-01-02T15:04:05.000000Z"
)

// Messages of lines that this package writes by itself.
const (
	MessageBegins     = "audit file begins"                             // the first line of all
	MessageContinues  = "audit file continues"                          // the first line after a rotation
	MessageDamaged    = "damaged bytes found at the end of the file"    // count: how many, before this line
	MessageMissing    = "lines are missing here: the file took none"    // count: how many
	MessageFlood      = "too many lines: more are counted, not written" // allows are written all the same
	MessageSuppressed = "lines suppressed"                              // count: how many
)

// MessageListed is how a guard's line begins its life that names the keys a
// qube was shown (field key, several with spaces between). It is written anew
// for the same keys only once an hour while a qube floods the log.
const MessageListed = "keys listed"

// Hash is a SHA-256.
type Hash [sha256.Size]byte

func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// Line is one line of the file.
type Line struct {
	Time    time.Time // UTC, to the microsecond
	Seq     uint64    // 1 for the first line of all
	Daemon  string    // "ssh-guard"
	Level   string    // "error", "warning" or "info"
	Message string
	// Fields has the names of journal.Fields, and no empty value.
	Fields map[string]string
	// Anchored is the time of the last line whose hash went to the journal; the
	// line's own time if it is such a line.
	Anchored time.Time
	Prev     Hash
}

// IsAnchor tells whether the line's hash was to go to the journal.
func (l Line) IsAnchor() bool { return l.Anchored.Equal(l.Time) }

// Encode returns the line as it stands in the file, without the newline: one
// JSON object, printable ASCII, the keys in a fixed order. Values that are too
// long are cut and end in "…" (written \u2026).
func (l Line) Encode() []byte {
	b := l.encode(maxValue)
	if len(b) > MaxLine {
		b = l.encode(shortValue)
	}
	return b
}

func (l Line) encode(most int) []byte {
	b := make([]byte, 0, 512)
	add := func(before, value string) {
		b = append(b, before...)
		b = appendString(b, cut(value, most))
	}
	add(`{"time":`, l.Time.UTC().Format(timeLayout))
	b = append(b, `,"seq":`...)
	b = strconv.AppendUint(b, l.Seq, 10)
	add(`,"daemon":`, l.Daemon)
	add(`,"level":`, l.Level)
	add(`,"message":`, l.Message)
	for _, name := range journal.Fields() {
		if value := l.Fields[name]; value != "" {
			add(`,"`+name+`":`, value)
		}
	}
	add(`,"anchored":`, l.Anchored.UTC().Format(timeLayout))
	b = append(b, `,"prev":"`...)
	b = hex.AppendEncode(b, l.Prev[:])
	return append(b, `"}`...)
}

// cut shortens a value to most bytes, with a mark.
func cut(s string, most int) string {
	const mark = "…"
	if len(s) <= most {
		return s
	}
	end := most - len(mark)
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + mark
}

// appendString adds a JSON string of printable ASCII: whoever shows the file on
// a terminal sees no control character. Bytes that are not UTF-8 become U+FFFD.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case ' ' <= r && r <= '~':
			b = append(b, byte(r))
		case r > 0xffff:
			r -= 0x10000
			b = appendEscape(b, 0xd800+(r>>10))
			b = appendEscape(b, 0xdc00+(r&0x3ff))
		default:
			b = appendEscape(b, r)
		}
	}
	return append(b, '"')
}

func appendEscape(b []byte, unit rune) []byte {
	const digits = "0123456789abcdef"
	return append(b, '\\', 'u', digits[unit>>12&15], digits[unit>>8&15], digits[unit>>4&15], digits[unit&15])
}

// clean is what a value becomes by being written and read again.
func clean(s string) string { return strings.ToValidUTF8(s, "\ufffd") }
