package x11

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

const (
	look       = 25 * time.Millisecond
	maxDepth   = 4    // a window manager puts its frames between the root and a window
	maxWindows = 4096 // that are looked at in one round
)

// Watch watches a display for a window with exactly this title. Seen is closed when
// it can be seen, or Lost when nobody can tell any more; both stay open if ctx ends
// before. xauthority is the file of cookies, "" for home's.
type Watch struct {
	Seen, Lost chan struct{}

	at  time.Time
	err error
}

// NewWatch begins to watch. The goroutine ends with ctx, or when the window is seen.
func NewWatch(ctx context.Context, display, xauthority, home, title string) *Watch {
	w := &Watch{Seen: make(chan struct{}), Lost: make(chan struct{})}
	go w.run(ctx, display, xauthority, home, title)
	return w
}

// At is when the window was seen; only after Seen is closed.
func (w *Watch) At() time.Time { return w.at }

// Err is why nobody can tell; only after Lost is closed.
func (w *Watch) Err() error { return w.err }

func (w *Watch) run(ctx context.Context, display, xauthority, home, title string) {
	c, err := DialLocal(ctx, display, xauthority, home)
	if err != nil {
		w.lose(ctx, err)
		return
	}
	defer c.Close()
	defer context.AfterFunc(ctx, c.Close)()
	for {
		seen, err := c.seen(title)
		if err != nil {
			w.lose(ctx, fmt.Errorf("looking for the window: %w", err))
			return
		}
		if seen {
			w.at = time.Now()
			close(w.Seen)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(look):
		}
	}
}

func (w *Watch) lose(ctx context.Context, err error) {
	if ctx.Err() == nil {
		w.err = err
		close(w.Lost)
	}
}

// Requests, properties and values of the X protocol.
const (
	getWindowAttributes = 3
	queryTree           = 15
	getProperty         = 20
	propertyName        = 39 // WM_NAME
	mapStateAt          = 26
	viewable            = 2
)

// errShort says that a reply is shorter than it says.
var errShort = errors.New("not an answer of an X server")

// seen looks through the tree of windows, level by level.
func (c *Conn) seen(title string) (bool, error) {
	c.events = nil // that every client gets
	level, left := []uint32{c.Root}, maxWindows
	for range maxDepth {
		var next []uint32
		for _, window := range level {
			children, err := c.children(window)
			if err != nil {
				return false, err
			}
			children = children[:min(left, len(children))]
			left -= len(children)
			for _, child := range children {
				if is, err := c.is(child, title); is || err != nil {
					return is, err
				}
			}
			next = append(next, children...)
		}
		level = next
	}
	return false, nil
}

// ask returns the reply to a request, nil for a window that is gone.
func (c *Conn) ask(opcode byte, words ...uint32) ([]byte, error) {
	if err := c.Request(opcode, 0, words, nil); err != nil {
		return nil, err
	}
	reply, err := c.Reply()
	if _, refused := errors.AsType[*Error](err); refused {
		return nil, nil
	}
	return reply, err
}

func (c *Conn) children(window uint32) ([]uint32, error) {
	reply, err := c.ask(queryTree, window)
	if err != nil || reply == nil {
		return nil, err
	}
	count := int(binary.LittleEndian.Uint16(reply[16:]))
	if len(reply) < 32+4*count {
		return nil, errShort
	}
	children := make([]uint32, count)
	for i := range children {
		children[i] = binary.LittleEndian.Uint32(reply[32+4*i:])
	}
	return children, nil
}

// is tells whether a window has the title and, with all it stands in, is mapped.
func (c *Conn) is(window uint32, title string) (bool, error) {
	const anyType, words = 0, 64
	reply, err := c.ask(getProperty, window, propertyName, anyType, 0, words)
	if err != nil || reply == nil {
		return false, err
	}
	length := int(binary.LittleEndian.Uint32(reply[16:]))
	if format := reply[1]; format != 8 || length > len(reply)-32 || !bytes.Equal(reply[32:32+length], []byte(title)) {
		return false, nil
	}
	reply, err = c.ask(getWindowAttributes, window)
	if err != nil || reply == nil {
		return false, err
	}
	return reply[mapStateAt] == viewable, nil
}
