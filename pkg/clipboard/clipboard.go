// Package clipboard offers a text on the screen's clipboard for a while: it owns
// the selection, gives the text to whoever pastes, and goes away without touching
// what somebody else has copied since. Nothing is restored: that would publish
// anew what was there before.
//
// It speaks the protocols itself: X11's selections (ICCCM, section 2), and
// Wayland's data-control, which wlroots' compositors and KDE have. The usual
// programs cannot say that the text is a password (x-kde-passwordManagerHint, which
// clipboard managers honour), and wl-copy keeps it in a file under /tmp.
package clipboard

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// MaxText bounds the text, in bytes: more would not fit into one request of X11.
const MaxText = 64 << 10

// What clipboard managers look for, so as not to keep the text (KDE, Klipper).
const (
	hintTarget = "x-kde-passwordManagerHint"
	hintValue  = "secret"
)

// Names of selections.
const (
	Clipboard = "clipboard"
	Primary   = "primary"
	Secondary = "secondary"
)

var (
	// ErrNoDisplay says that the environment names no screen.
	ErrNoDisplay = errors.New("no screen: neither WAYLAND_DISPLAY nor DISPLAY is set")
	// ErrTooLong says that a text has more than [MaxText] bytes.
	ErrTooLong = errors.New("the text is too long for the clipboard")
	// ErrSelection says that a selection does not exist, or not there.
	ErrSelection = errors.New("no such selection")
)

// Offer is what is offered.
type Offer struct {
	Text      []byte // UTF-8
	Selection string // one of the names above
	Once      bool   // ends with the first paste
	For       time.Duration
}

// Ending is why an offer ended.
type Ending string

// The ways in which an offer ends.
const (
	TimeUp   Ending = "time is up"
	Pasted   Ending = "pasted"
	Replaced Ending = "something else was copied"
)

// Own makes the offer, calls ready when the text can be pasted, and returns when
// the offer has ended. Wayland is preferred where both are there, as X11 is a
// guest then.
func Own(ctx context.Context, getenv func(string) string, o Offer, ready func()) (Ending, error) {
	if len(o.Text) > MaxText {
		return "", fmt.Errorf("%d bytes, at most %d: %w", len(o.Text), MaxText, ErrTooLong)
	}
	own := ownX11
	switch {
	case getenv("WAYLAND_DISPLAY") != "":
		own = ownWayland
	case getenv("DISPLAY") == "":
		return "", ErrNoDisplay
	}
	ctx, cancel := context.WithTimeout(ctx, o.For)
	defer cancel()
	ending, err := own(ctx, getenv, o, ready)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return TimeUp, nil
	}
	return ending, err
}
