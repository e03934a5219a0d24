package typist

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/splitvault/splitvault/pkg/x11"
)

// Numbers of the X11 protocol (appendix B), and of XTEST (xtestproto, version 2.2).
const (
	opQueryPointer          = 38
	opQueryKeymap           = 44
	opQueryExtension        = 98
	opChangeKeyboardMapping = 100
	opGetKeyboardMapping    = 101
	opGetModifierMapping    = 119
	testFakeInput           = 2

	keyPress   = 2
	keyRelease = 3

	lockMask     = 2 // of the pointer's state: Caps Lock
	lockModifier = 1 // its place among the modifiers
)

// keyboard is the screen's.
type keyboard struct {
	*x11.Conn
	test   byte   // the opcode of XTEST
	width  int    // symbols of each key
	free   []byte // keys without a symbol
	lock   byte   // the key of Caps Lock, 0 if there is none
	shifts []byte // keys of all modifiers
	front  front
}

// prepare finds out what there is.
func (k *keyboard) prepare() error {
	const name = "XTEST"
	if err := k.Request(opQueryExtension, 0, []uint32{uint32(len(name))}, []byte(name)); err != nil {
		return err
	}
	r, err := k.Reply()
	if err != nil {
		return err
	}
	if r[8] == 0 {
		return ErrNoTest
	}
	k.test = r[9]
	count := int(k.MaxKey) - int(k.MinKey) + 1
	if err := k.Request(opGetKeyboardMapping, 0, []uint32{uint32(k.MinKey) | uint32(count)<<8}, nil); err != nil {
		return err
	}
	if r, err = k.Reply(); err != nil {
		return err
	}
	k.width = int(r[1])
	if len(r) < 32+4*count*k.width || k.width == 0 {
		return errors.New("the screen tells no keyboard mapping")
	}
	for i := range count {
		used := false
		for _, b := range r[32+4*i*k.width : 32+4*(i+1)*k.width] {
			used = used || b != 0
		}
		if !used {
			k.free = append(k.free, k.MinKey+byte(i))
		}
	}
	if len(k.free) == 0 {
		return errors.New("the screen's keyboard has no key to spare")
	}
	return errors.Join(k.modifiers(), k.watch())
}

func (k *keyboard) modifiers() error {
	if err := k.Request(opGetModifierMapping, 0, nil, nil); err != nil {
		return err
	}
	r, err := k.Reply()
	if err != nil {
		return err
	}
	each := int(r[1])
	if len(r) < 32+8*each {
		return errors.New("the screen tells no modifiers")
	}
	for i, key := range r[32 : 32+8*each] {
		if key == 0 {
			continue
		}
		if i/each == lockModifier && k.lock == 0 {
			k.lock = key
		}
		k.shifts = append(k.shifts, key)
	}
	return nil
}

// rest waits until no key is held, lets go of modifiers that still are, and switches
// Caps Lock off; restore switches it on again.
func (k *keyboard) rest(ctx context.Context) (restore func(), err error) {
	for deadline := time.Now().Add(releaseTime); ; {
		held, err := k.held()
		if err != nil {
			return nil, err
		}
		if len(held) == 0 {
			break
		}
		if time.Now().After(deadline) {
			for _, key := range k.shifts {
				if held[key] {
					if err := k.fake(keyRelease, key); err != nil {
						return nil, err
					}
				}
			}
			break
		}
		if err := wait(ctx, 20*time.Millisecond); err != nil {
			return nil, err
		}
	}
	if err := k.Request(opQueryPointer, 0, []uint32{k.Root}, nil); err != nil {
		return nil, err
	}
	r, err := k.Reply()
	if err != nil {
		return nil, err
	}
	if state := binary.LittleEndian.Uint16(r[24:]); state&lockMask == 0 || k.lock == 0 {
		return func() {}, nil
	}
	return func() { _ = errors.Join(k.press(k.lock), k.Sync()) }, k.press(k.lock)
}

// held returns the keys that are down.
func (k *keyboard) held() (map[byte]bool, error) {
	if err := k.Request(opQueryKeymap, 0, nil, nil); err != nil {
		return nil, err
	}
	r, err := k.Reply()
	if err != nil {
		return nil, err
	}
	held := make(map[byte]bool)
	for i := range 256 {
		if len(r) >= 40 && r[8+i/8]&(1<<(i%8)) != 0 {
			held[byte(i)] = true
		}
	}
	return held, nil
}

// give lets each key mean a symbol, with any modifier.
func (k *keyboard) give(keys map[uint32]byte) error {
	for symbol, key := range keys {
		if err := k.change(key, symbol); err != nil {
			return err
		}
	}
	return k.Sync()
}

// take undoes give.
func (k *keyboard) take(keys map[uint32]byte) error {
	for _, key := range keys {
		if err := k.change(key, 0); err != nil {
			return err
		}
	}
	return k.Sync()
}

func (k *keyboard) change(key byte, symbol uint32) error {
	words := []uint32{uint32(key) | uint32(k.width)<<8}
	for range k.width {
		words = append(words, symbol)
	}
	return k.Request(opChangeKeyboardMapping, 1, words, nil)
}

func (k *keyboard) press(key byte) error {
	return errors.Join(k.fake(keyPress, key), k.fake(keyRelease, key), k.Sync())
}

func (k *keyboard) fake(kind, key byte) error {
	words := make([]uint32, 8) // now, on the screen in front, from the core keyboard
	words[0] = uint32(kind) | uint32(key)<<8
	return k.Request(k.test, testFakeInput, words, nil)
}
