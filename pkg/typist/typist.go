// Package typist types a text into the window in front of an X screen, whatever keys
// that screen's keyboard has.
//
// Keys of their own are given to the characters, all before the first is pressed, and
// taken away a while after the window has read the last: programs look up what a key
// means when they get to it, not when it is pressed. (xdotool gives and takes one key for each character; GTK
// lost every one beyond ASCII of a first text typed that way, verified by running.) No
// modifier is needed then, whichever layout is in use.
package typist

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/splitvault/splitvault/pkg/x11"
)

const (
	// MaxText bounds a text, in bytes.
	MaxText = 8 << 10

	// settleTime is for programs to learn what the keys mean, and forgetTime for them
	// to read the last one.
	settleTime = 150 * time.Millisecond
	forgetTime = time.Second
	// releaseTime is how long a person may hold the keys that started us.
	releaseTime = 3 * time.Second
)

var (
	// ErrNoKey says that no key types a character.
	ErrNoKey = errors.New("there is no key for it")
	// ErrTooLong says that a text has more than [MaxText] bytes.
	ErrTooLong = errors.New("the text is too long to be typed")
	// ErrNoTest says that a screen takes no keys from programs.
	ErrNoTest = errors.New("the screen has no XTEST extension")
)

// keysym is the number of a character's key symbol (X Window System Protocol,
// appendix A).
func keysym(r rune) (uint32, error) {
	const (
		tab, enter = 0xff09, 0xff0d
		unicode    = 0x01000000
	)
	switch {
	case r == '\t':
		return tab, nil
	case r == '\n':
		return enter, nil
	case r >= 0x20 && r <= 0x7e, r >= 0xa0 && r <= 0xff:
		return uint32(r), nil
	case r > 0xff:
		return unicode + uint32(r), nil
	default:
		return 0, fmt.Errorf("character %#02x: %w", r, ErrNoKey)
	}
}

// Type types a text in UTF-8, with delay after each key. When ctx ends it stops, and
// leaves the keyboard as it was.
func Type(ctx context.Context, getenv func(string) string, text []byte, delay time.Duration) error {
	if len(text) > MaxText {
		return ErrTooLong
	}
	if !utf8.Valid(text) {
		return fmt.Errorf("text that is not UTF-8: %w", ErrNoKey)
	}
	symbols := make([]uint32, 0, len(text))
	defer func() { clear(symbols) }()
	for rest := text; len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		symbol, err := keysym(r)
		if err != nil {
			return err
		}
		symbols, rest = append(symbols, symbol), rest[n:]
	}
	conn, err := x11.Dial(getenv)
	if err != nil {
		return err
	}
	defer conn.Close()
	k := &keyboard{Conn: conn}
	if err := k.prepare(); err != nil {
		return err
	}
	restore, err := k.rest(ctx)
	if err != nil {
		return err
	}
	defer restore()
	for rest := symbols; len(rest) > 0 && ctx.Err() == nil; {
		n, err := k.batch(ctx, rest, delay)
		if err != nil {
			return err
		}
		rest = rest[n:]
	}
	return ctx.Err()
}

// batch types as many symbols as there are free keys for, and returns how many.
func (k *keyboard) batch(ctx context.Context, symbols []uint32, delay time.Duration) (int, error) {
	keys := make(map[uint32]byte)
	n := 0
	for _, symbol := range symbols {
		if _, given := keys[symbol]; !given {
			if len(keys) == len(k.free) {
				break
			}
			keys[symbol] = k.free[len(keys)]
		}
		n++
	}
	defer clear(keys)
	if err := k.give(keys); err != nil {
		return 0, err
	}
	err := wait(ctx, settleTime)
	if err == nil {
		err = k.caughtUp(ctx)
	}
	for _, symbol := range symbols[:n] {
		if err != nil || ctx.Err() != nil {
			break
		}
		if err = k.press(keys[symbol]); err == nil {
			err = wait(ctx, delay)
		}
	}
	if err == nil {
		err = k.caughtUp(ctx)
	}
	// Also where ctx has ended: the window may not have got to the last key yet.
	time.Sleep(forgetTime)
	return n, errors.Join(err, k.take(keys))
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
