package xwindow

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

const (
	dialTime = time.Second
	talkTime = 2 * time.Second // for one answer
	maxReply = 1 << 20         // bytes; a tree of 1000 windows is 4 KiB
)

// ErrProtocol says that the server did not answer as an X server does.
var ErrProtocol = errors.New("not an answer of an X server")

// server is a connection to an X server, in little-endian byte order.
type server struct {
	conn net.Conn
	root uint32
}

// connect connects to display ":N" of this machine.
func connect(ctx context.Context, display string, key cookie) (*server, error) {
	number, ok := Number(display)
	if !ok {
		return nil, fmt.Errorf("%q is no display of this machine", display)
	}
	dialer := net.Dialer{Timeout: dialTime}
	path := "/tmp/.X11-unix/X" + number
	conn, err := dialer.DialContext(ctx, "unix", path)
	if err != nil {
		if conn, err = dialer.DialContext(ctx, "unix", "@"+path); err != nil {
			return nil, fmt.Errorf("connecting to the display: %w", err)
		}
	}
	s := &server{conn: conn}
	if err := s.setup(key); err != nil {
		conn.Close()
		return nil, fmt.Errorf("connecting to the display: %w", err)
	}
	return s, nil
}

// Number returns the N of a display ":N", ":N.S" or "unix:N".
func Number(display string) (number string, ok bool) {
	number, ok = strings.CutPrefix(strings.TrimPrefix(display, "unix"), ":")
	number, _, _ = strings.Cut(number, ".")
	return number, ok && number != "" && len(number) < 6 && strings.Trim(number, "0123456789") == ""
}

func (s *server) close() { s.conn.Close() }

// setup greets the server and finds the root window of its first screen.
func (s *server) setup(key cookie) error {
	request := []byte{'l', 0, 11, 0, 0, 0}
	request = binary.LittleEndian.AppendUint16(request, uint16(len(key.name)))
	request = binary.LittleEndian.AppendUint16(request, uint16(len(key.data)))
	request = append(request, 0, 0)
	request = append(pad(append(request, key.name...)), key.data...)
	if err := s.write(pad(request)); err != nil {
		return err
	}
	head := make([]byte, 8)
	if _, err := io.ReadFull(s.conn, head); err != nil {
		return err
	}
	body := make([]byte, 4*int(binary.LittleEndian.Uint16(head[6:])))
	if _, err := io.ReadFull(s.conn, body); err != nil {
		return err
	}
	if head[0] != 1 {
		return errors.New("the server refuses: it wants another XAUTHORITY")
	}
	if len(body) < 32 {
		return ErrProtocol
	}
	vendor, formats := int(binary.LittleEndian.Uint16(body[16:])), int(body[21])
	screen := 32 + (vendor+3)&^3 + 8*formats
	if len(body) < screen+4 {
		return ErrProtocol
	}
	s.root = binary.LittleEndian.Uint32(body[screen:])
	return nil
}

func pad(b []byte) []byte { return append(b, make([]byte, -len(b)&3)...) }

func (s *server) write(b []byte) error {
	if err := s.conn.SetDeadline(time.Now().Add(talkTime)); err != nil {
		return err
	}
	_, err := s.conn.Write(b)
	return err
}

// ask sends a request and returns its answer, nil for an error of the server: a
// window that is gone.
func (s *server) ask(opcode, detail byte, words ...uint32) ([]byte, error) {
	request := []byte{opcode, detail}
	request = binary.LittleEndian.AppendUint16(request, uint16(1+len(words)))
	for _, w := range words {
		request = binary.LittleEndian.AppendUint32(request, w)
	}
	if err := s.write(request); err != nil {
		return nil, err
	}
	const isError, isReply, isGeneric = 0, 1, 35
	for {
		head := make([]byte, 32)
		if _, err := io.ReadFull(s.conn, head); err != nil {
			return nil, err
		}
		kind := head[0] &^ 0x80
		if kind == isError {
			return nil, nil
		}
		if kind != isReply && kind != isGeneric {
			continue // an event that every client gets
		}
		more := 4 * uint64(binary.LittleEndian.Uint32(head[4:]))
		if more > maxReply {
			return nil, fmt.Errorf("%w: %d bytes", ErrProtocol, more)
		}
		reply := append(head, make([]byte, more)...)
		if _, err := io.ReadFull(s.conn, reply[32:]); err != nil {
			return nil, err
		}
		if kind == isReply {
			return reply, nil
		}
	}
}
