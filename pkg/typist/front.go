package typist

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/splitvault/splitvault/pkg/x11"
)

const (
	opChangeAttributes = 2
	opQueryTree        = 15
	opGetProperty      = 20
	opSendEvent        = 25
	opGetInputFocus    = 43

	eventClientMessage = 33
	valueEventMask     = 0x800
	maskSubstructure   = 0x80000 // of what happens to windows, and what is told to the root
	atomAtom           = 4
	format32           = 32

	maxDepth     = 8  // from what has the keys up to its outermost window
	maxProtocols = 32 // that a window names
)

// busyTime is how long a window may take to read its keys.
const busyTime = 15 * time.Second

// ErrBusy says that the window in front does not read what is typed.
var ErrBusy = errors.New("the window in front is busy, and reads no keys")

// front asks the window in front how far it has got: most programs answer a ping, which
// window managers send, in the order in which they read their keys (Extended Window
// Manager Hints 1.5, _NET_WM_PING). Of the others nobody can tell.
type front struct {
	protocols, ping uint32 // atoms
	count           uint32 // pings so far
}

// watch prepares for the answers, which go to the root window.
func (k *keyboard) watch() error {
	var err error
	if k.front.protocols, err = k.Atom("WM_PROTOCOLS"); err != nil {
		return err
	}
	if k.front.ping, err = k.Atom("_NET_WM_PING"); err != nil {
		return err
	}
	return k.Request(opChangeAttributes, 0, []uint32{k.Root, valueEventMask, maskSubstructure}, nil)
}

// caughtUp waits until the window in front has read all that was sent to it, if it is
// one that can say so. It is no error that ctx ends.
func (k *keyboard) caughtUp(ctx context.Context) error {
	window, err := k.inFront()
	if err != nil || window == 0 {
		return err
	}
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { k.Interrupt(); close(interrupted) })
	defer func() {
		if !stop() {
			<-interrupted
			k.Resume()
		}
	}()
	k.front.count++
	message := []byte{eventClientMessage, format32, 0, 0}
	for _, word := range []uint32{window, k.front.protocols, k.front.ping, k.front.count, window, 0, 0} {
		message = binary.LittleEndian.AppendUint32(message, word)
	}
	if err := k.Request(opSendEvent, 0, []uint32{window, 0}, message); err != nil {
		return err
	}
	for limit := time.Now().Add(busyTime); ; {
		e, err := k.EventBefore(limit)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() != nil:
			return nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			return fmt.Errorf("typing: %w", ErrBusy)
		case err != nil:
			return err
		case e[0]&0x7f == eventClientMessage && binary.LittleEndian.Uint32(e[12:]) == k.front.ping &&
			binary.LittleEndian.Uint32(e[16:]) == k.front.count:
			return nil
		}
	}
}

// inFront returns the window that gets the keys, or the one around it, that answers
// pings; 0 if there is none.
func (k *keyboard) inFront() (uint32, error) {
	if err := k.Request(opGetInputFocus, 0, nil, nil); err != nil {
		return 0, err
	}
	r, err := k.Reply()
	if err != nil {
		return 0, err
	}
	window := binary.LittleEndian.Uint32(r[8:])
	for range maxDepth {
		if window <= 1 || window == k.Root { // none, or the one under the pointer
			return 0, nil
		}
		answers, err := k.answers(window)
		if err != nil {
			return 0, gone(err)
		}
		if answers {
			return window, nil
		}
		if err := k.Request(opQueryTree, 0, []uint32{window}, nil); err != nil {
			return 0, err
		}
		if r, err = k.Reply(); err != nil {
			return 0, gone(err)
		}
		window = binary.LittleEndian.Uint32(r[12:])
	}
	return 0, nil
}

// answers tells whether a window answers pings.
func (k *keyboard) answers(window uint32) (bool, error) {
	if err := k.Request(opGetProperty, 0, []uint32{window, k.front.protocols, atomAtom, 0, maxProtocols}, nil); err != nil {
		return false, err
	}
	r, err := k.Reply()
	if err != nil || r[1] != format32 {
		return false, err
	}
	count := min(int(binary.LittleEndian.Uint32(r[16:])), (len(r)-32)/4)
	for i := range count {
		if binary.LittleEndian.Uint32(r[32+4*i:]) == k.front.ping {
			return true, nil
		}
	}
	return false, nil
}

// gone is no error where a window has just been closed.
func gone(err error) error {
	if _, refused := errors.AsType[*x11.Error](err); refused {
		return nil
	}
	return err
}
