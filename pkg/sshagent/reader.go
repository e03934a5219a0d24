package sshagent

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// Source is a byte stream with a read deadline: a net.Conn, or an os.File that
// is in non-blocking mode.
type Source interface {
	io.Reader
	SetReadDeadline(t time.Time) error
}

// readAhead is the size of a Reader's own buffer: several requests of a usual
// size (a binding has 300 bytes, a sign request 700) fit, so that pipelined
// requests cost one read.
const readAhead = 2 << 10

// Reader takes messages from a stream, one buffer each.
type Reader struct {
	src    Source
	maxLen int
	within time.Duration

	ahead   [readAhead]byte
	lo, hi  int   // ahead[lo:hi] was read and belongs to no frame yet
	partial int   // bytes of a frame that was begun and failed
	armed   bool  // our deadline stands on src
	err     error // sticky
}

// NewReader reads messages of at most maxLen bytes (the length itself not
// counted) from src; each must be complete within the given time of its first
// byte. A source that cannot have deadlines makes every Next fail.
func NewReader(src Source, maxLen int, within time.Duration) *Reader {
	r := &Reader{src: src, maxLen: maxLen, within: within}
	// Asked here and not at the first fragmented frame: a blocking file refuses
	// deadlines, and that mistake must show at once.
	if err := src.SetReadDeadline(time.Time{}); err != nil {
		r.err = fmt.Errorf("reading a frame: the stream takes no deadline: %w", err)
	}
	return r
}

// Buffered is the number of bytes that were read from the source and belong to
// no returned frame. After io.ErrUnexpectedEOF it is the size of the cut-off
// message, so fewer than 4 means that not even a length came.
func (r *Reader) Buffered() int {
	return r.hi - r.lo + r.partial
}

// Next gives the next message. It waits without a deadline of its own for the
// first byte; how long a connection may idle is the caller's business. A
// deadline the caller has set on the source stands until a frame has begun and
// gives an error that wraps os.ErrDeadlineExceeded (and not ErrSlow), after
// which Next may be called again. A frame that has begun must complete in time.
// If bytes of it were already read, its time starts with this call.
//
// Errors: io.EOF (plain, and only between messages), io.ErrUnexpectedEOF,
// ErrEmpty, ErrTooLarge, ErrSlow, or the source's error. All of them are final.
func (r *Reader) Next() (Frame, error) {
	if r.err != nil {
		return Frame{}, r.err
	}
	if r.lo == r.hi {
		if err := r.fill(); err != nil {
			return Frame{}, r.idleError(err)
		}
	}
	f, err := r.frame()
	if err == nil && r.armed {
		r.armed = false
		err = r.src.SetReadDeadline(time.Time{})
	}
	if err != nil {
		r.err = fmt.Errorf("reading a frame: %w", err)
		return Frame{}, r.err
	}
	return f, nil
}

// frame takes a message whose first byte is there.
func (r *Reader) frame() (Frame, error) {
	for r.hi-r.lo < headerLen {
		if err := r.arm(); err != nil {
			return Frame{}, err
		}
		if err := r.fill(); err != nil {
			return Frame{}, inFrame(err)
		}
	}
	n, err := bodyLen(r.ahead[r.lo:r.hi], r.maxLen)
	if err != nil {
		return Frame{}, err
	}
	wire := make([]byte, headerLen+n)
	got := copy(wire, r.ahead[r.lo:r.hi])
	r.lo += got
	if got == len(wire) {
		return Frame{wire}, nil
	}
	if err := r.arm(); err != nil {
		return Frame{}, err
	}
	// What is missing goes straight into the frame: no second copy of a large one.
	more, err := io.ReadFull(r.src, wire[got:])
	if err != nil {
		r.partial = got + more
		return Frame{}, inFrame(err)
	}
	return Frame{wire}, nil
}

// fill reads at least one byte into the buffer, which holds less than a length.
func (r *Reader) fill() error {
	if r.lo > 0 {
		r.hi = copy(r.ahead[:], r.ahead[r.lo:r.hi])
		r.lo = 0
	}
	n, err := io.ReadAtLeast(r.src, r.ahead[r.hi:], 1)
	r.hi += n
	return err
}

// arm sets the deadline of the frame that has begun, once.
func (r *Reader) arm() error {
	if r.armed {
		return nil
	}
	r.armed = true
	return r.src.SetReadDeadline(time.Now().Add(r.within))
}

// idleError judges a failed wait for a first byte.
func (r *Reader) idleError(err error) error {
	switch {
	case errors.Is(err, io.EOF):
		r.err = io.EOF
		return io.EOF
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("waiting for a frame: %w", err) // the caller's own; nothing is lost
	default:
		r.err = fmt.Errorf("waiting for a frame: %w", err)
		return r.err
	}
}

// inFrame names what an error means once a message has begun.
func inFrame(err error) error {
	switch {
	case errors.Is(err, io.EOF):
		return io.ErrUnexpectedEOF
	case errors.Is(err, os.ErrDeadlineExceeded):
		return ErrSlow
	default:
		return err
	}
}
