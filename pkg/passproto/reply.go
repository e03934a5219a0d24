package passproto

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/splitvault/splitvault/pkg/passcode"
	"github.com/splitvault/splitvault/pkg/secret"
)

// maxText bounds the text of an ERR, in bytes.
const maxText = 1024

// ErrReply says that what came is no reply, or none that is whole.
var ErrReply = errors.New("not a whole reply")

// Error is a reply that says no.
type Error struct {
	Code passcode.Code
	Text string // for people: printable ASCII
}

func (e *Error) Error() string { return e.Text }

// Printable replaces what is not printable ASCII by "?" and cuts the text to what
// a reply may have.
func Printable(text string) string {
	text = text[:min(len(text), maxText)]
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e {
			return '?'
		}
		return r
	}, text)
}

// ErrLine is the line of a reply that says no, with its LF.
func ErrLine(e *Error) string {
	return fmt.Sprintf("ERR %d %s %s\n", int(e.Code), e.Code.Token(), Printable(e.Text))
}

// OKLine is the line that goes before n bytes, with its LF.
func OKLine(n int) string { return fmt.Sprintf("OK %d\n", n) }

// ReadReply reads a reply, and appends its bytes to b. A no is an [*Error].
func ReadReply(r *Reader, b *secret.Buffer) error {
	untrusted, err := r.Line(maxText + 64)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrReply, err)
	}
	size, no, err := parseReply(untrusted)
	if err != nil {
		return err
	}
	if no != nil {
		return no
	}
	if err := r.Body(b, size); err != nil {
		return fmt.Errorf("%w: %w", ErrReply, err)
	}
	return nil
}

// parseReply reads the line of a reply: the size of a yes, or a no.
func parseReply(untrusted string) (int, *Error, error) {
	if digits, found := strings.CutPrefix(untrusted, "OK "); found {
		size, err := number(digits, 0, MaxBody)
		if err != nil {
			return 0, nil, fmt.Errorf("%w: %w", ErrReply, err)
		}
		return size, nil, nil
	}
	words := strings.SplitN(untrusted, " ", 4)
	if len(words) != 4 || words[0] != "ERR" {
		return 0, nil, fmt.Errorf("no line of a reply: %w", ErrReply) // it may be a password's
	}
	n, err := strconv.Atoi(words[1])
	code := passcode.Code(n)
	if err != nil || code == passcode.OK || passcode.Of(n) != code || strconv.Itoa(n) != words[1] ||
		code.Token() != words[2] || words[3] != Printable(words[3]) {
		return 0, nil, fmt.Errorf("no line of a reply: %w", ErrReply) // it may be a password's
	}
	return 0, &Error{Code: code, Text: words[3]}, nil
}
