package clipboard

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/splitvault/splitvault/pkg/rundir"
)

// Numbers of the Wayland protocol (wayland.xml): object 1 is the display.
const (
	wlDisplay            = 1
	wlDisplaySync        = 0
	wlDisplayGetRegistry = 1
	wlDisplayError       = 0 // event
	wlRegistryBind       = 0
	wlRegistryGlobal     = 0 // event

	maxMessage = 4096 // bytes: libwayland sends no more
)

// wlconn is a connection to a compositor.
type wlconn struct {
	conn *net.UnixConn
	next uint32 // the next object's number
	data []byte
	fds  []int
}

// message is one event of an object.
type message struct {
	object, opcode uint32
	args           []byte
}

func dialWayland(getenv func(string) string) (*wlconn, error) {
	path := getenv("WAYLAND_DISPLAY")
	if !filepath.IsAbs(path) {
		path = filepath.Join(rundir.Base(getenv), path)
	}
	conn, err := net.DialTimeout("unix", path, setupTime)
	if err != nil {
		return nil, fmt.Errorf("connecting to the compositor: %w", err)
	}
	return &wlconn{conn: conn.(*net.UnixConn), next: 2}, nil
}

func (c *wlconn) close() {
	for _, fd := range c.fds {
		_ = unix.Close(fd)
	}
	_ = c.conn.Close()
}

// object returns a new object's number.
func (c *wlconn) object() uint32 {
	c.next++
	return c.next - 1
}

// text appends a string in Wayland's form.
func text(args []byte, s string) []byte {
	args = binary.LittleEndian.AppendUint32(args, uint32(len(s)+1))
	args = append(args, s...)
	return append(args, make([]byte, 1+pad(len(s)+1))...)
}

func words(all ...uint32) []byte {
	var args []byte
	for _, w := range all {
		args = binary.LittleEndian.AppendUint32(args, w)
	}
	return args
}

// request sends a request to an object.
func (c *wlconn) request(object, opcode uint32, args []byte) error {
	msg := append(words(object, uint32(8+len(args))<<16|opcode), args...)
	if err := c.conn.SetWriteDeadline(time.Now().Add(setupTime)); err != nil {
		return err
	}
	_, err := c.conn.Write(msg)
	return err
}

// event returns the next event; an error of the protocol is an error.
func (c *wlconn) event() (message, error) {
	for {
		if len(c.data) >= 8 {
			size := int(binary.LittleEndian.Uint32(c.data[4:]) >> 16)
			if size < 8 || size > maxMessage {
				return message{}, errors.New("the compositor sends no Wayland messages")
			}
			if len(c.data) >= size {
				m := message{binary.LittleEndian.Uint32(c.data), binary.LittleEndian.Uint32(c.data[4:]) & 0xffff, c.data[8:size]}
				c.data = c.data[size:]
				if m.object == wlDisplay && m.opcode == wlDisplayError {
					_, why := m.string(8)
					return message{}, fmt.Errorf("the compositor refuses: %.80q", why)
				}
				return m, nil
			}
		}
		if err := c.fill(); err != nil {
			return message{}, err
		}
	}
}

// fill reads once, bytes and descriptors.
func (c *wlconn) fill() error {
	buf, oob := make([]byte, maxMessage), make([]byte, unix.CmsgSpace(28*4))
	n, oobn, _, _, err := c.conn.ReadMsgUnix(buf, oob)
	if err != nil {
		return fmt.Errorf("reading from the compositor: %w", err)
	}
	if n == 0 {
		return errors.New("the compositor has ended the connection")
	}
	c.data = append(c.data, buf[:n]...)
	controls, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		return fmt.Errorf("reading from the compositor: %w", err)
	}
	for _, control := range controls {
		fds, err := unix.ParseUnixRights(&control)
		if err != nil {
			continue // of another kind
		}
		for _, fd := range fds {
			unix.CloseOnExec(fd)
		}
		c.fds = append(c.fds, fds...)
	}
	return nil
}

// takeFD returns the descriptor that came first.
func (c *wlconn) takeFD() (int, error) {
	if len(c.fds) == 0 {
		return -1, errors.New("the compositor sent no descriptor")
	}
	fd := c.fds[0]
	c.fds = c.fds[1:]
	return fd, nil
}

// word returns the number at an offset, 0 beyond the end.
func (m message) word(at int) uint32 {
	if len(m.args) < at+4 {
		return 0
	}
	return binary.LittleEndian.Uint32(m.args[at:])
}

// string returns the string at an offset, and the offset after it.
func (m message) string(at int) (after int, s string) {
	n := int(m.word(at))
	if n < 1 || len(m.args) < at+4+n {
		return len(m.args), ""
	}
	return at + 4 + n + pad(n), string(m.args[at+4 : at+4+n-1])
}

// pad is the number of bytes up to the next multiple of four.
func pad(n int) int { return -n & 3 }
