package clipboard

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// Numbers of the X11 protocol (X Window System Protocol, version 11, appendix B).
const (
	opCreateWindow      = 1
	opInternAtom        = 16
	opChangeProperty    = 18
	opSetSelectionOwner = 22
	opGetSelectionOwner = 23
	opSendEvent         = 25
	opGetInputFocus     = 43

	eventSelectionClear   = 29
	eventSelectionRequest = 30
	eventSelectionNotify  = 31
	eventPropertyNotify   = 28

	replyError = 0
	replyReply = 1

	atomAtom    = 4 // predefined atoms
	atomInteger = 19
	atomString  = 31

	inputOnly          = 2
	valueEventMask     = 0x800
	maskPropertyChange = 0x400000
)

// setupTime bounds the first talk with a display.
const setupTime = 5 * time.Second

// maxReply bounds what a display says at once, in bytes.
const maxReply = 1 << 20

// xconn is a connection to a display.
type xconn struct {
	conn   net.Conn
	root   uint32
	window uint32
	sent   uint16   // requests, as the display counts them
	events [][]byte // that came while a reply was awaited
}

func dialX11(getenv func(string) string) (*xconn, error) {
	network, address, number, err := display(getenv("DISPLAY"))
	if err != nil {
		return nil, err
	}
	conn, err := net.DialTimeout(network, address, setupTime)
	if err != nil {
		return nil, fmt.Errorf("connecting to the screen: %w", err)
	}
	c := &xconn{conn: conn}
	if err := c.setup(cookie(getenv, number)); err != nil {
		conn.Close()
		return nil, fmt.Errorf("connecting to the screen: %w", err)
	}
	return c, nil
}

// pad is the number of bytes up to the next multiple of four.
func pad(n int) int { return -n & 3 }

func (c *xconn) setup(cookie []byte) error {
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
	c.window = binary.LittleEndian.Uint32(body[4:]) // the first of the ids that are ours
	vendor := int(binary.LittleEndian.Uint16(body[16:]))
	screen := 32 + vendor + pad(vendor) + 8*int(body[21])
	if body[20] == 0 || len(body) < screen+4 {
		return errors.New("the display has no screen")
	}
	c.root = binary.LittleEndian.Uint32(body[screen:])
	return c.conn.SetDeadline(time.Time{})
}

// request sends a request: words of four bytes, then bytes.
func (c *xconn) request(op, detail byte, words []uint32, data []byte) error {
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
func (c *xconn) read() ([]byte, error) {
	msg := make([]byte, 32)
	if _, err := io.ReadFull(c.conn, msg); err != nil {
		return nil, fmt.Errorf("reading from the screen: %w", err)
	}
	const generic = 35 // an event that may be longer
	if kind := msg[0] & 0x7f; kind == replyReply || kind == generic {
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

// event returns the next event. Errors of the display are of windows that are gone.
func (c *xconn) event() ([]byte, error) {
	if len(c.events) > 0 {
		next := c.events[0]
		c.events = c.events[1:]
		return next, nil
	}
	for {
		msg, err := c.read()
		if err != nil {
			return nil, err
		}
		if kind := msg[0] & 0x7f; kind != replyError && kind != replyReply {
			return msg, nil
		}
	}
}

// reply returns the reply to the request that was sent last, and keeps the events
// before it.
func (c *xconn) reply() ([]byte, error) {
	for {
		msg, err := c.read()
		if err != nil {
			return nil, err
		}
		switch msg[0] & 0x7f {
		case replyReply:
			return msg, nil
		case replyError:
			// An earlier request's is of a window that is gone.
			if binary.LittleEndian.Uint16(msg[2:]) == c.sent {
				return nil, fmt.Errorf("the screen refused a request: error %d", msg[1])
			}
		default:
			c.events = append(c.events, msg)
		}
	}
}

// atom returns the number of a name.
func (c *xconn) atom(name string) (uint32, error) {
	if err := c.request(opInternAtom, 0, []uint32{uint32(len(name))}, []byte(name)); err != nil {
		return 0, err
	}
	r, err := c.reply()
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(r[8:]), nil
}
