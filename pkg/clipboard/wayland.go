package clipboard

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// ErrNoControl says that a compositor lets no program offer a text that has no
// window in front.
var ErrNoControl = errors.New("the compositor has neither ext_data_control nor wlr_data_control, " +
	"so that no program without a window may offer a text (GNOME has not): use qpass type, or qpass show")

// The two protocols differ in nothing but their names here (ext-data-control-v1.xml,
// wlr-data-control-unstable-v1.xml).
var controls = []string{"ext_data_control_manager_v1", "zwlr_data_control_manager_v1"}

const (
	managerCreateSource = 0
	managerGetDevice    = 1
	sourceOffer         = 0
	sourceSend          = 0 // event
	sourceCancelled     = 1 // event
	deviceSetSelection  = 0
	deviceSetPrimary    = 2
	seatName            = "wl_seat"
	managerVersion      = 2 // of zwlr's, for the primary selection; ext's has it from 1
)

// plainTypes are what programs ask for to paste a text.
var plainTypes = []string{"text/plain;charset=utf-8", "text/plain", "UTF8_STRING", "STRING", "TEXT"}

// sendTime bounds the wait for a program that pastes and does not read.
const sendTime = 5 * time.Second

// lingerTime is how long a program may take to read what it pasted.
const lingerTime = time.Second

// global is an interface that the compositor offers.
type global struct{ name, version uint32 }

// wlowner offers a text to a compositor.
type wlowner struct {
	*wlconn
	offer  Offer
	source uint32
}

func ownWayland(ctx context.Context, getenv func(string) string, o Offer, ready func()) (Ending, error) {
	c, err := dialWayland(getenv)
	if err != nil {
		return "", err
	}
	defer c.close()
	stop := context.AfterFunc(ctx, func() { _ = c.conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	w := &wlowner{wlconn: c, offer: o}
	if err := w.own(); err != nil {
		return "", err
	}
	ready()
	return w.serve()
}

// own binds what is needed and sets the selection.
func (w *wlowner) own() error {
	registry := w.object()
	if err := w.request(wlDisplay, wlDisplayGetRegistry, words(registry)); err != nil {
		return err
	}
	globals, err := w.globals(registry)
	if err != nil {
		return err
	}
	seat, found := globals[seatName]
	if !found {
		return errors.New("the compositor has no seat")
	}
	control, name := global{}, ""
	for _, name = range controls {
		if control, found = globals[name]; found {
			break
		}
	}
	if !found {
		return ErrNoControl
	}
	version := min(control.version, managerVersion)
	set := uint32(deviceSetSelection)
	switch w.offer.Selection {
	case Clipboard:
	case Primary:
		set = deviceSetPrimary
		if name == controls[1] && version < managerVersion {
			return fmt.Errorf("the primary selection, in this compositor: %w", ErrSelection)
		}
	default:
		return fmt.Errorf("selection %.20q, in Wayland: %w", w.offer.Selection, ErrSelection)
	}
	if name == controls[0] {
		version = 1
	}
	return w.set(registry, seat, control, name, version, set)
}

func (w *wlowner) set(registry uint32, seat, control global, name string, version, set uint32) error {
	seatObject, manager, device := w.object(), w.object(), w.object()
	w.source = w.object()
	bind := func(g global, name string, version, object uint32) error {
		args := append(text(words(g.name), name), words(version, object)...)
		return w.request(registry, wlRegistryBind, args)
	}
	err := errors.Join(
		bind(seat, seatName, 1, seatObject),
		bind(control, name, version, manager),
		w.request(manager, managerGetDevice, words(device, seatObject)),
		w.request(manager, managerCreateSource, words(w.source)),
	)
	for _, mime := range append([]string{hintTarget}, plainTypes...) {
		err = errors.Join(err, w.request(w.source, sourceOffer, text(nil, mime)))
	}
	err = errors.Join(err, w.request(device, set, words(w.source)))
	if err != nil {
		return err
	}
	return w.sync()
}

// globals returns what the compositor has.
func (w *wlowner) globals(registry uint32) (map[string]global, error) {
	done := w.object()
	if err := w.request(wlDisplay, wlDisplaySync, words(done)); err != nil {
		return nil, err
	}
	found := make(map[string]global)
	for {
		m, err := w.event()
		if err != nil {
			return nil, err
		}
		switch {
		case m.object == registry && m.opcode == wlRegistryGlobal:
			after, name := m.string(4)
			if _, twice := found[name]; !twice { // of several seats the first
				found[name] = global{m.word(0), m.word(after)}
			}
		case m.object == done:
			return found, nil
		}
	}
}

// sync waits until the compositor has done what it was asked for.
func (w *wlowner) sync() error {
	done := w.object()
	if err := w.request(wlDisplay, wlDisplaySync, words(done)); err != nil {
		return err
	}
	for {
		m, err := w.event()
		if err != nil || m.object == done {
			return err
		}
		// A clipboard manager may be at it already.
		if m.object == w.source && m.opcode == sourceSend {
			if _, err := w.send(m); err != nil {
				return err
			}
		}
	}
}

// serve gives the text to those who paste until the offer has ended.
func (w *wlowner) serve() (Ending, error) {
	for {
		m, err := w.event()
		switch {
		case err != nil:
			return "", err
		case m.object != w.source:
		case m.opcode == sourceCancelled:
			return Replaced, nil
		case m.opcode == sourceSend:
			pasted, err := w.send(m)
			if err != nil {
				return "", err
			}
			if pasted && w.offer.Once {
				w.linger()
				return Pasted, nil
			}
		}
	}
}

// linger keeps the selection for a moment, without the text: wl-paste gives up in
// the middle of a paste when it is told that there is none any more.
func (w *wlowner) linger() {
	w.offer.Text = nil
	if w.conn.SetReadDeadline(time.Now().Add(lingerTime)) != nil {
		return
	}
	for {
		m, err := w.event()
		if err != nil {
			return
		}
		if m.object == w.source && m.opcode == sourceSend {
			if _, err := w.send(m); err != nil {
				return
			}
		}
	}
}

// send writes what was asked for, and tells whether it was the text.
func (w *wlowner) send(m message) (bool, error) {
	fd, err := w.takeFD()
	if err != nil {
		return false, err
	}
	_, mime := m.string(0)
	what := w.offer.Text
	if mime == hintTarget {
		what = []byte(hintValue)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return false, err
	}
	f := os.NewFile(uintptr(fd), "paste")
	defer f.Close()
	_ = f.SetWriteDeadline(time.Now().Add(sendTime)) // a file has none
	// An error is of the program that pastes.
	_, err = f.Write(what)
	return mime != hintTarget && err == nil, nil
}
