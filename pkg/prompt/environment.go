package prompt

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/splitvault/splitvault/pkg/consent"
	"github.com/splitvault/splitvault/pkg/x11"
)

// Environment is all that a prompting program is given.
type Environment struct {
	Screen  consent.Screen
	Home    string // HOME
	Runtime string // XDG_RUNTIME_DIR
	Bus     string // DBUS_SESSION_BUS_ADDRESS
}

// list returns the environment, built from nothing: no LD_PRELOAD, GTK_MODULES
// or locale of anyone gets into the program that draws a prompt.
func (e Environment) list() []string {
	env := []string{
		"PATH=/usr/bin:/bin",
		"LANG=C.UTF-8", // buttons as they are documented
		"NO_AT_BRIDGE=1",
		"GTK_A11Y=none",
		"GSK_RENDERER=cairo", // no graphics driver, which would want memory to write and run
		"GIO_USE_VFS=local",
		"GSETTINGS_BACKEND=memory",
	}
	for _, v := range []struct{ name, value string }{
		{"HOME", e.Home},
		{"XDG_RUNTIME_DIR", e.Runtime},
		{"DBUS_SESSION_BUS_ADDRESS", e.Bus},
		{"DISPLAY", e.Screen.Display},
		{"WAYLAND_DISPLAY", e.Screen.Wayland},
		{"XAUTHORITY", e.Screen.XAuthority},
		{"GPG_TTY", e.Screen.TTY},
	} {
		if v.value != "" {
			env = append(env, v.name+"="+v.value)
		}
	}
	return env
}

// ErrNoDisplay says that a screen has no display that answers.
var ErrNoDisplay = errors.New("no display")

const connectTime = time.Second

// Usable returns the part of a screen that is there: a display that takes a
// connection, a terminal that is this user's. runtime is XDG_RUNTIME_DIR.
func Usable(s consent.Screen, runtime string) (consent.Screen, error) {
	usable := consent.Screen{}
	var errs []error
	if s.Wayland != "" {
		path := s.Wayland
		if !filepath.IsAbs(path) {
			path = filepath.Join(runtime, path)
		}
		if err := connect(path); err != nil {
			errs = append(errs, err)
		} else {
			usable.Wayland = s.Wayland
		}
	}
	if s.Display != "" {
		if err := connectX(s.Display); err != nil {
			errs = append(errs, err)
		} else {
			usable.Display, usable.XAuthority = s.Display, s.XAuthority
		}
	}
	if s.TTY != "" {
		if err := terminal(s.TTY); err != nil {
			errs = append(errs, err)
		} else {
			usable.TTY = s.TTY
		}
	}
	switch {
	case usable != consent.Screen{}:
		return usable, nil
	case len(errs) == 0:
		return usable, ErrNoDisplay
	default:
		return usable, fmt.Errorf("%w: %w", ErrNoDisplay, errors.Join(errs...))
	}
}

// connectX finds the display :N of this machine, by the file or by the
// abstract socket (X(7)). A display over the network is none of a vault's.
func connectX(display string) error {
	number, local := x11.Number(display)
	if !local {
		return fmt.Errorf("%q is no display of this qube", display)
	}
	path := "/tmp/.X11-unix/X" + number
	if err := connect(path); err != nil {
		if connect("@"+path) != nil {
			return err
		}
	}
	return nil
}

func connect(path string) error {
	conn, err := net.DialTimeout("unix", path, connectTime)
	if err != nil {
		return err
	}
	return conn.Close()
}

func terminal(path string) error {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return fmt.Errorf("looking at the terminal %q: %w", path, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFCHR || int(st.Uid) != os.Getuid() {
		return fmt.Errorf("%q is no terminal of this user", path)
	}
	return nil
}
