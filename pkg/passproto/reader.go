package passproto

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/splitvault/splitvault/pkg/secret"
)

// ErrLineTooLong says that a line has no end within its bound; where the next one
// begins cannot be told then.
var ErrLineTooLong = errors.New("the line is too long")

// Reader takes lines, and the bytes that follow them, off a stream. What it has
// read ahead is kept as a secret: a password may be in it.
type Reader struct {
	r     io.Reader
	ahead secret.Buffer
	at    int // of ahead, what was taken
}

// NewReader returns a Reader. Close must be called.
func NewReader(r io.Reader) *Reader { return &Reader{r: r} }

// Close wipes what was read ahead.
func (r *Reader) Close() { r.ahead.Wipe() }

// Buffered tells whether bytes of another line are there already.
func (r *Reader) Buffered() bool { return r.at < r.ahead.Len() }

// Line reads a line of at most limit bytes with its LF, and returns it without.
// At the end of the stream it returns [io.EOF], in the middle of a line
// [io.ErrUnexpectedEOF].
func (r *Reader) Line(limit int) (string, error) {
	for {
		rest := r.ahead.Bytes()[r.at:]
		if end := bytes.IndexByte(rest[:min(len(rest), limit)], '\n'); end >= 0 {
			r.at += end + 1
			return string(rest[:end]), nil
		}
		if len(rest) >= limit {
			return "", ErrLineTooLong
		}
		switch err := r.fill(); {
		case errors.Is(err, io.EOF) && len(rest) > 0:
			return "", io.ErrUnexpectedEOF
		case err != nil:
			return "", err
		}
	}
}

// fill reads once.
func (r *Reader) fill() error {
	r.ahead.Drop(r.at)
	r.at = 0
	return r.ahead.ReadOnce(r.r, MaxLine)
}

// Body appends the n bytes that follow to b.
func (r *Reader) Body(b *secret.Buffer, n int) error {
	rest := r.ahead.Bytes()[r.at:]
	rest = rest[:min(n, len(rest))]
	if _, err := b.Write(rest); err != nil {
		return err
	}
	clear(rest)
	r.at += len(rest)
	if err := b.ReadN(r.r, n-len(rest)); err != nil {
		return fmt.Errorf("reading %d bytes: %w", n, err)
	}
	return nil
}
