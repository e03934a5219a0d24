package clipboard

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/splitvault/splitvault/pkg/x11"
)

// Numbers of the X11 protocol (X Window System Protocol, version 11, appendix B).
const (
	opCreateWindow      = 1
	opChangeProperty    = 18
	opSetSelectionOwner = 22
	opGetSelectionOwner = 23
	opSendEvent         = 25

	eventPropertyNotify   = 28
	eventSelectionClear   = 29
	eventSelectionRequest = 30
	eventSelectionNotify  = 31

	atomAtom    = 4 // predefined atoms
	atomInteger = 19
	atomString  = 31

	inputOnly          = 2
	valueEventMask     = 0x800
	maskPropertyChange = 0x400000
)

// setupTime bounds what a screen may take for an answer.
const setupTime = 5 * time.Second

// targets of the text that every program asks for one of.
var textTargets = []string{"UTF8_STRING", "text/plain;charset=utf-8", "text/plain", "TEXT", "STRING"}

// xowner owns a selection.
type xowner struct {
	*x11.Conn
	offer     Offer
	selection uint32
	since     uint32 // the display's time of owning, in milliseconds
	targets   uint32
	timestamp uint32
	hint      uint32
	utf8      uint32
	text      map[uint32]bool // atoms of textTargets
	refusing  bool
}

func ownX11(ctx context.Context, getenv func(string) string, o Offer, ready func()) (Ending, error) {
	c, err := x11.Dial(getenv)
	if err != nil {
		return "", err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, c.Interrupt)
	defer stop()
	x := &xowner{Conn: c, offer: o, text: make(map[uint32]bool)}
	if err := x.prepare(); err != nil {
		return "", err
	}
	if err := x.own(); err != nil {
		return "", err
	}
	ready()
	ending, err := x.serve()
	stop()
	x.leave()
	return ending, err
}

// leave gives the selection up, and refuses those who asked in the last moment: a
// program that pastes waits for ever for an owner that is gone.
func (x *xowner) leave() {
	x.Resume()
	if x.Request(opSetSelectionOwner, 0, []uint32{0, x.selection, x.since}, nil) != nil || x.Sync() != nil {
		return // the screen is gone
	}
	x.offer.Text, x.refusing = nil, true
	for _, e := range x.Pending() {
		if e[0]&0x7f == eventSelectionRequest {
			_, _ = x.answer(e)
		}
	}
	_ = x.Sync()
}

func (x *xowner) prepare() error {
	name, known := map[string]string{Clipboard: "CLIPBOARD", Primary: "PRIMARY", Secondary: "SECONDARY"}[x.offer.Selection]
	if !known {
		return fmt.Errorf("selection %.20q: %w", x.offer.Selection, ErrSelection)
	}
	for atom, name := range map[*uint32]string{
		&x.selection: name, &x.targets: "TARGETS", &x.timestamp: "TIMESTAMP", &x.hint: hintTarget, &x.utf8: "UTF8_STRING",
	} {
		var err error
		if *atom, err = x.Atom(name); err != nil {
			return err
		}
	}
	for _, name := range textTargets {
		atom, err := x.Atom(name)
		if err != nil {
			return err
		}
		// STRING is Latin-1, which UTF-8 is only as far as ASCII goes.
		x.text[atom] = atom != atomString || ascii(x.offer.Text)
	}
	return nil
}

func ascii(text []byte) bool {
	for _, c := range text {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

// own makes a window that is never shown, and takes the selection at the display's
// own time, as the protocol wants it.
func (x *xowner) own() error {
	window := []uint32{x.Window, x.Root, 0, 1 | 1<<16, inputOnly << 16, 0, valueEventMask, maskPropertyChange}
	if err := x.Request(opCreateWindow, 0, window, nil); err != nil {
		return err
	}
	if err := x.property(x.Window, x.timestamp, atomInteger, 32, nil); err != nil {
		return err
	}
	for {
		e, err := x.Event()
		if err != nil {
			return err
		}
		if e[0]&0x7f == eventPropertyNotify {
			x.since = binary.LittleEndian.Uint32(e[12:])
			break
		}
	}
	if err := x.Request(opSetSelectionOwner, 0, []uint32{x.Window, x.selection, x.since}, nil); err != nil {
		return err
	}
	if err := x.Request(opGetSelectionOwner, 0, []uint32{x.selection}, nil); err != nil {
		return err
	}
	r, err := x.Reply()
	if err != nil {
		return err
	}
	if binary.LittleEndian.Uint32(r[8:]) != x.Window {
		return errors.New("another program took the selection at the same moment")
	}
	return nil
}

// serve answers those who paste until the offer has ended.
func (x *xowner) serve() (Ending, error) {
	for {
		e, err := x.Event()
		if err != nil {
			return "", err
		}
		switch e[0] & 0x7f {
		case eventSelectionClear:
			return Replaced, nil
		case eventSelectionRequest:
			pasted, err := x.answer(e)
			if err != nil {
				return "", err
			}
			if pasted && x.offer.Once {
				return Pasted, nil
			}
		}
	}
}

// answer puts what was asked for where it was asked for, and says so; a target
// that is not offered is refused. It tells whether the text was given.
func (x *xowner) answer(e []byte) (bool, error) {
	word := func(at int) uint32 { return binary.LittleEndian.Uint32(e[at:]) }
	at, requestor, selection, target, property := word(4), word(12), word(16), word(20), word(24)
	if property == 0 { // an obsolete client
		property = target
	}
	pasted := false
	var err error
	switch {
	case selection != x.selection, x.refusing:
		property = 0
	case target == x.targets:
		err = x.property(requestor, property, atomAtom, 32, x.offered())
	case target == x.timestamp:
		err = x.property(requestor, property, atomInteger, 32, binary.LittleEndian.AppendUint32(nil, x.since))
	case target == x.hint:
		err = x.property(requestor, property, x.hint, 8, []byte(hintValue))
	case x.text[target]:
		kind := target
		if target != atomString {
			kind = x.utf8
		}
		pasted, err = true, x.property(requestor, property, kind, 8, x.offer.Text)
	default: // MULTIPLE too, which no program that pastes text needs
		property = 0
	}
	if err != nil {
		return false, err
	}
	notify := []byte{eventSelectionNotify, 0, 0, 0}
	for _, w := range []uint32{at, requestor, selection, target, property, 0, 0} {
		notify = binary.LittleEndian.AppendUint32(notify, w)
	}
	return pasted, x.Request(opSendEvent, 0, []uint32{requestor, 0}, notify)
}

// offered is the value of TARGETS.
func (x *xowner) offered() []byte {
	var list []byte
	for _, atom := range []uint32{x.targets, x.timestamp, x.hint} {
		list = binary.LittleEndian.AppendUint32(list, atom)
	}
	for atom, offered := range x.text {
		if offered {
			list = binary.LittleEndian.AppendUint32(list, atom)
		}
	}
	return list
}

// property replaces a property of a window; format is the bits of its items.
func (x *xowner) property(window, property, kind, format uint32, data []byte) error {
	items := uint32(len(data)) * 8 / format
	return x.Request(opChangeProperty, 0, []uint32{window, property, kind, format, items}, data)
}
