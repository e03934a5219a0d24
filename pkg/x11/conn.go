// Package x11 speaks as much of the X11 protocol as offering and typing a text takes,
// and seeing when a window is there (X Window System Protocol, version 11), with the
// user's own display. A library would be many times as large, and keep copies of texts.
package x11

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// Kinds of what a display says (X Window System Protocol, version 11, appendix B).
const (
	kindError   = 0
	kindReply   = 1
	kindGeneric = 35 // an event that may be longer

	opInternAtom    = 16
	opGetInputFocus = 43
)

const (
	// setupTime bounds the first talk with a display, and replyTime the wait for each
	// reply.
	setupTime = 5 * time.Second
	replyTime = 5 * time.Second
)

// maxReply bounds what a display says at once, in bytes.
const maxReply = 1 << 20

// Conn is a connection to a display.
type Conn struct {
	// Root is the window of the first screen, Window a number for one of our own, and
	// MinKey and MaxKey are the keycodes there are.
	Root, Window   uint32
	MinKey, MaxKey byte

	conn   net.Conn
	sent   uint16   // requests, as the display counts them
	events [][]byte // that came while a reply was awaited

	mu          sync.Mutex
	interrupted bool // guarded by mu, with the deadline of reading
}

// Error is what a display says of a request that it cannot do: of a window that is
// gone, say.
type Error struct{ Code byte }

func (e *Error) Error() string { return fmt.Sprintf("the screen refused a request: error %d", e.Code) }

// Dial connects to the display that DISPLAY names: one of this machine's, or one that
// comes by ssh.
func Dial(getenv func(string) string) (*Conn, error) {
	display, path, home := getenv("DISPLAY"), getenv("XAUTHORITY"), getenv("HOME")
	if _, local := Number(display); local {
		return DialLocal(context.Background(), display, path, home)
	}
	address, number, err := forwarded(display)
	if err != nil {
		return nil, err
	}
	conn, err := net.DialTimeout("tcp", address, setupTime)
	if err != nil {
		return nil, fmt.Errorf("connecting to the screen: %w", err)
	}
	return greet(conn, readCookie(path, home, number))
}

// DialLocal connects to a display of this machine, by its file or by the abstract
// socket (X(7)). xauthority is the file of cookies, "" for home's.
func DialLocal(ctx context.Context, display, xauthority, home string) (*Conn, error) {
	number, local := Number(display)
	if !local {
		return nil, fmt.Errorf("%.40q is no display of this machine", display)
	}
	dialer := net.Dialer{Timeout: setupTime}
	path := "/tmp/.X11-unix/X" + number
	conn, err := dialer.DialContext(ctx, "unix", path)
	if err != nil {
		abstract, abstractErr := dialer.DialContext(ctx, "unix", "@"+path)
		if abstractErr != nil {
			return nil, fmt.Errorf("connecting to the screen: %w", err)
		}
		conn = abstract
	}
	return greet(conn, readCookie(xauthority, home, number))
}

func greet(conn net.Conn, cookie []byte) (*Conn, error) {
	c := &Conn{conn: conn}
	if err := c.setup(cookie); err != nil {
		conn.Close()
		return nil, fmt.Errorf("connecting to the screen: %w", err)
	}
	return c, nil
}

// pad is the number of bytes up to the next multiple of four.
func pad(n int) int { return -n & 3 }

func (c *Conn) setup(cookie []byte) error {
	if err := c.conn.SetDeadline(time.Now().Add(setupTime)); err != nil {
		return err
	}
	name := cookieName
	if cookie == nil {
		name = ""
	}
	hello := []byte{'l', 0}
	for _, n := range []int{11, 0, len(name), len(cookie), 0} {
		hello = binary.LittleEndian.AppendUint16(hello, uint16(n))
	}
	hello = append(hello, name...)
	hello = append(hello, make([]byte, pad(len(name)))...)
	hello = append(hello, cookie...)
	hello = append(hello, make([]byte, pad(len(cookie)))...)
	if _, err := c.conn.Write(hello); err != nil {
		return err
	}
	head := make([]byte, 8)
	if _, err := io.ReadFull(c.conn, head); err != nil {
		return err
	}
	body := make([]byte, 4*int(binary.LittleEndian.Uint16(head[6:])))
	if _, err := io.ReadFull(c.conn, body); err != nil {
		return err
	}
	if head[0] != 1 {
		return fmt.Errorf("the display refuses: %.80q", body[:min(int(head[1]), len(body))])
	}
	if len(body) < 32 {
		return errors.New("the display's greeting is too short")
	}
	c.Window = binary.LittleEndian.Uint32(body[4:]) // the first of the ids that are ours
	c.MinKey, c.MaxKey = body[26], body[27]
	vendor := int(binary.LittleEndian.Uint16(body[16:]))
	screen := 32 + vendor + pad(vendor) + 8*int(body[21])
	if body[20] == 0 || len(body) < screen+4 {
		return errors.New("the display has no screen")
	}
	c.Root = binary.LittleEndian.Uint32(body[screen:])
	return c.conn.SetDeadline(time.Time{})
}

// Request sends a request: words of four bytes, then bytes.
func (c *Conn) Request(op, detail byte, words []uint32, data []byte) error {
	length := 1 + len(words) + (len(data)+pad(len(data)))/4
	msg := make([]byte, 0, 4*length)
	defer func() { clear(msg) }()
	msg = append(msg, op, detail)
	msg = binary.LittleEndian.AppendUint16(msg, uint16(length))
	for _, w := range words {
		msg = binary.LittleEndian.AppendUint32(msg, w)
	}
	msg = append(msg, data...)
	msg = append(msg, make([]byte, pad(len(data)))...)
	if err := c.conn.SetWriteDeadline(time.Now().Add(setupTime)); err != nil {
		return err
	}
	c.sent++
	_, err := c.conn.Write(msg)
	return err
}

// read takes one event, reply or error.
func (c *Conn) read() ([]byte, error) {
	msg := make([]byte, 32)
	if _, err := io.ReadFull(c.conn, msg); err != nil {
		return nil, fmt.Errorf("reading from the screen: %w", err)
	}
	if kind := msg[0] & 0x7f; kind == kindReply || kind == kindGeneric {
		more := 4 * uint64(binary.LittleEndian.Uint32(msg[4:]))
		if more > maxReply {
			return nil, errors.New("reading from the screen: it says too much")
		}
		msg = append(msg, make([]byte, more)...)
		if _, err := io.ReadFull(c.conn, msg[32:]); err != nil {
			return nil, fmt.Errorf("reading from the screen: %w", err)
		}
	}
	return msg, nil
}

// Event returns the next event. Errors of the display are of windows that are gone.
func (c *Conn) Event() ([]byte, error) { return c.EventBefore(time.Time{}) }

// EventBefore is Event with a limit to the waiting, [os.ErrDeadlineExceeded]. (A display
// sends an event whole.)
func (c *Conn) EventBefore(limit time.Time) ([]byte, error) {
	if len(c.events) > 0 {
		next := c.events[0]
		c.events = c.events[1:]
		return next, nil
	}
	if err := c.await(limit); err != nil {
		return nil, err
	}
	for {
		msg, err := c.read()
		if err != nil {
			return nil, err
		}
		if kind := msg[0] & 0x7f; kind != kindError && kind != kindReply {
			return msg, nil
		}
	}
}

// Reply returns the reply to the request that was sent last, and keeps the events
// before it. A request that the display refuses is an [*Error].
func (c *Conn) Reply() ([]byte, error) {
	if err := c.await(time.Now().Add(replyTime)); err != nil {
		return nil, err
	}
	for {
		msg, err := c.read()
		if err != nil {
			return nil, err
		}
		switch msg[0] & 0x7f {
		case kindReply:
			return msg, nil
		case kindError:
			// An earlier request's is of a window that is gone.
			if binary.LittleEndian.Uint16(msg[2:]) == c.sent {
				return nil, &Error{msg[1]}
			}
		default:
			c.events = append(c.events, msg)
		}
	}
}

// Atom returns the number of a name.
func (c *Conn) Atom(name string) (uint32, error) {
	if err := c.Request(opInternAtom, 0, []uint32{uint32(len(name))}, []byte(name)); err != nil {
		return 0, err
	}
	r, err := c.Reply()
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(r[8:]), nil
}

// Sync waits until the display has done what was asked for.
func (c *Conn) Sync() error {
	if err := c.Request(opGetInputFocus, 0, nil, nil); err != nil {
		return err
	}
	_, err := c.Reply()
	return err
}

// Pending returns the events that have come, and forgets them.
func (c *Conn) Pending() [][]byte {
	all := c.events
	c.events = nil
	return all
}

// await sets how long is waited for what comes next; the zero time is for ever.
func (c *Conn) await(limit time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.interrupted {
		return os.ErrDeadlineExceeded
	}
	return c.conn.SetReadDeadline(limit)
}

// Interrupt ends the waiting for events and replies, from now on and until Resume.
func (c *Conn) Interrupt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.interrupted = true
	_ = c.conn.SetReadDeadline(time.Unix(1, 0)) // closed is ended, too
}

// Resume undoes Interrupt.
func (c *Conn) Resume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.interrupted = false
}

// Close ends the connection.
func (c *Conn) Close() { _ = c.conn.Close() }
