package httpedge

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// Reader reads requests from a connection, one after the other.
type Reader struct {
	in       *bufio.Reader
	deadline func(time.Time) error
}

// NewReader returns a reader. deadline sets the connection's read deadline.
func NewReader(untrusted io.Reader, deadline func(time.Time) error) *Reader {
	return &Reader{in: bufio.NewReader(untrusted), deadline: deadline}
}

// ErrIdle says that no request has begun in [IdleTime].
var ErrIdle = errors.New("no request for a while")

// Head reads the next request up to its body. Its error is io.EOF where the
// client has sent all, [ErrIdle], a [*Refusal], or the connection's.
func (r *Reader) Head() (*Head, error) {
	if err := r.begin(); err != nil {
		return nil, err
	}
	left := MaxHead
	line, err := r.line(&left)
	if err != nil {
		return nil, err
	}
	h := &Head{}
	if err := h.parseRequestLine(line); err != nil {
		return nil, err
	}
	for {
		line, err := r.line(&left)
		if err != nil {
			return nil, err
		}
		if line == "" {
			break
		}
		if len(h.Fields) == maxFields {
			return nil, bad("more than 100 header fields")
		}
		field, refusal := parseField(line)
		if refusal != nil {
			return nil, refusal
		}
		h.Fields = append(h.Fields, field)
	}
	if refusal := h.frame(); refusal != nil {
		return nil, refusal
	}
	return h, nil
}

// begin waits for the first byte of a request, and starts its clock.
func (r *Reader) begin() error {
	if r.in.Buffered() == 0 {
		if err := r.deadline(time.Now().Add(IdleTime)); err != nil {
			return err
		}
		if _, err := r.in.Peek(1); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return ErrIdle
			}
			return err
		}
	}
	return r.deadline(time.Now().Add(HeadTime))
}

// line reads a line that ends in CRLF, and returns it without. left is what the
// head may still have in bytes.
func (r *Reader) line(left *int) (string, error) {
	var line []byte
	for {
		part, err := r.in.ReadSlice('\n')
		if *left -= len(part); *left < 0 {
			return "", bad("the header is longer than 16 KiB")
		}
		line = append(line, part...)
		if err == nil {
			break
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return "", cut(err)
		}
	}
	end := len(line) - 2
	if end < 0 || line[end] != '\r' {
		return "", bad("a line that does not end in CRLF")
	}
	return string(line[:end]), nil
}

// cut says what the end of the connection means inside a request.
func cut(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return bad("the request came too slowly")
	}
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("the connection ended inside a request: %w", io.ErrUnexpectedEOF)
	}
	return err
}

// Body reads the body that belongs to h.
func (r *Reader) Body(h *Head) ([]byte, error) {
	if err := r.deadline(time.Now().Add(BodyTime)); err != nil {
		return nil, err
	}
	if h.Chunked {
		return r.chunks()
	}
	return r.exactly(nil, h.Length)
}

// exactly appends n bytes to body. The memory grows with what has come, not with
// what was announced.
func (r *Reader) exactly(body []byte, n int) ([]byte, error) {
	const step = 64 << 10
	for n > 0 {
		part := min(n, step)
		begin := len(body)
		body = append(body, make([]byte, part)...)
		if _, err := io.ReadFull(r.in, body[begin:]); err != nil {
			return nil, cut(err)
		}
		n -= part
	}
	return body, nil
}

// chunks reads a chunked body (RFC 9112 §7.1) without extensions and trailers,
// which no client of a signer sends, and which programs read in several ways.
func (r *Reader) chunks() ([]byte, error) {
	var body []byte
	for {
		size, err := r.chunkSize()
		if err != nil {
			return nil, err
		}
		if size > MaxBody-len(body) {
			return nil, tooLarge()
		}
		if body, err = r.exactly(body, size); err != nil {
			return nil, err
		}
		left := 2
		end, err := r.line(&left)
		if _, refused := errors.AsType[*Refusal](err); refused || end != "" {
			return nil, bad("a chunk that does not end where it says, or a trailer")
		}
		if err != nil {
			return nil, err
		}
		if size == 0 {
			return body, nil
		}
	}
}

// maxChunkLine is a size of eight hexadecimal digits and CRLF.
const maxChunkLine = 10

func (r *Reader) chunkSize() (int, error) {
	left := maxChunkLine
	line, err := r.line(&left)
	if err != nil {
		if refusal, ok := errors.AsType[*Refusal](err); ok {
			refusal.Text = "a chunk size that is no plain number"
		}
		return 0, err
	}
	if line == "" {
		return 0, bad("a chunk size that is no plain number")
	}
	size := 0
	for i := range len(line) {
		digit := unhex(line[i])
		if digit < 0 {
			return 0, bad("a chunk size that is no plain number")
		}
		size = min(size<<4|digit, MaxBody+1)
	}
	return size, nil
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
