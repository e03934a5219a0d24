package httpedge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// Post is a request that has passed the edge.
type Post struct {
	Caller
	Head *Head
	Body []byte // at most MaxBody bytes; untrusted
}

// Answer is what a handler says: JSON, and 200 but for a body that is no request.
type Answer struct {
	Status int
	Body   []byte
}

// Server serves one connection. All fields must be set.
type Server struct {
	Conn   net.Conn
	Policy *Policy
	// Handle answers a POST. Its context ends with that of Serve.
	Handle func(ctx context.Context, p *Post) Answer
	// Refused is told what was refused.
	Refused func(r *Refusal)

	Stats Stats
}

// Stats are counted while the server serves.
type Stats struct{ Requests, Refused, BytesIn, BytesOut int }

// Serve answers requests in their order until the client has sent its last, has
// gone, or ctx has ended, and closes the connection. Errors are the connection's.
func (s *Server) Serve(ctx context.Context) error {
	defer s.Conn.Close()
	reader := NewReader(s.Conn, func(t time.Time) error {
		if err := s.Conn.SetReadDeadline(t); err != nil {
			return err
		}
		return ctx.Err() // it may have ended before the deadline was moved
	})
	stop := context.AfterFunc(ctx, func() { _ = s.Conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	for ctx.Err() == nil {
		again, err := s.next(ctx, reader)
		if ctx.Err() != nil || errors.Is(err, io.EOF) || errors.Is(err, ErrIdle) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("serving HTTP: %w", err)
		}
		if !again {
			break
		}
	}
	return nil
}

// next serves one request, and tells whether another may follow.
func (s *Server) next(ctx context.Context, reader *Reader) (again bool, err error) {
	head, err := reader.Head()
	if err != nil {
		return false, s.failed(err, nil)
	}
	s.Stats.Requests++
	caller, refusal := s.Policy.Check(head)
	if refusal != nil {
		return false, s.refuse(refusal, head)
	}
	var r *response
	switch head.Method {
	case "OPTIONS":
		r = preflight(head, caller.Origin)
	case "GET", "HEAD":
		r = &response{status: 200, origin: caller.Origin, minor: head.Minor}
	default:
		body, err := s.body(reader, head)
		if err != nil {
			return false, s.failed(err, head)
		}
		s.Stats.BytesIn += len(body)
		answer := s.Handle(ctx, &Post{Caller: caller, Head: head, Body: body})
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		r = &response{status: answer.Status, origin: caller.Origin, minor: head.Minor, body: answer.Body}
	}
	r.close = !head.KeepAlive
	return head.KeepAlive, s.write(r.bytes(head.Method == "HEAD"))
}

func (s *Server) body(reader *Reader, head *Head) ([]byte, error) {
	if head.Continue {
		if err := s.write([]byte("HTTP/1.1 100 Continue\r\n\r\n")); err != nil {
			return nil, err
		}
	}
	return reader.Body(head)
}

// failed answers a request that could not be read, if it was the client's fault.
func (s *Server) failed(err error, head *Head) error {
	if refusal, ok := errors.AsType[*Refusal](err); ok {
		return s.refuse(refusal, head)
	}
	return err
}

// refuse answers with an error that no page can read, and ends the connection:
// what follows on it may be anything.
func (s *Server) refuse(refusal *Refusal, head *Head) error {
	s.Stats.Refused++
	s.Refused(refusal)
	r := &response{status: refusal.Status, body: refusal.body(), close: true, minor: 1}
	if refusal.Status == 405 {
		r.fields = []Field{{"allow", allowed}}
	}
	if err := s.write(r.bytes(head != nil && head.Method == "HEAD")); err != nil {
		return err
	}
	s.linger()
	return nil
}

func (s *Server) write(b []byte) error {
	if err := s.Conn.SetWriteDeadline(time.Now().Add(WriteTime)); err != nil {
		return err
	}
	n, err := s.Conn.Write(b)
	s.Stats.BytesOut += n
	return err
}

const (
	lingerTime  = time.Second
	lingerBytes = 1 << 20
)

// linger takes for a moment what the client still sends: the kernel answers a
// close before that with a reset, which may overtake the answer.
func (s *Server) linger() {
	if c, ok := s.Conn.(interface{ CloseWrite() error }); ok {
		if c.CloseWrite() != nil {
			return
		}
	}
	if s.Conn.SetReadDeadline(time.Now().Add(lingerTime)) != nil {
		return
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(s.Conn, lingerBytes))
}
