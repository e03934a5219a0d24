package strictjson

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

// ErrNoValue says that a stream does not go on with an array or an object.
var ErrNoValue = errors.New("neither an array nor an object")

// Reader takes a stream of arrays and objects apart, which need nothing between
// them; of each it looks only for the end.
type Reader struct {
	r     *bufio.Reader
	limit int
}

// NewReader reads from r values of at most limit bytes.
func NewReader(r io.Reader, limit int) *Reader {
	return &Reader{r: bufio.NewReaderSize(r, 16<<10), limit: limit}
}

// Next returns the next value's bytes, which are the caller's. At the end of the
// stream its error is io.EOF, in the middle of a value io.ErrUnexpectedEOF; after
// any error but io.EOF it is not known where the next value begins.
func (r *Reader) Next() (untrusted []byte, err error) {
	first, err := r.skipBlanks()
	if err != nil {
		return nil, err
	}
	if first != '{' && first != '[' {
		return nil, ErrNoValue
	}
	untrusted = []byte{first}
	depth, inText, escaped := 1, false, false
	for depth > 0 {
		if len(untrusted) >= r.limit {
			return nil, fmt.Errorf("%w: over %d bytes", ErrTooMuch, r.limit)
		}
		c, err := r.r.ReadByte()
		if errors.Is(err, io.EOF) {
			return nil, io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, err
		}
		untrusted = append(untrusted, c)
		switch {
		case escaped:
			escaped = false
		case inText:
			escaped, inText = c == '\\', c != '"'
		case c == '"':
			inText = true
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		}
	}
	return untrusted, nil
}

func (r *Reader) skipBlanks() (byte, error) {
	for {
		c, err := r.r.ReadByte()
		if err != nil || strings.IndexByte(" \t\r\n", c) < 0 {
			return c, err
		}
	}
}
