// Package picker lets a person choose one of several lines, with the menu program
// that is there: dmenu, rofi, fuzzel or fzf.
//
// No way of ending a menu but the choice of a line is a choice. Lines go to the
// program's standard input and come back on its standard output, and only a line
// that was offered counts. They hold names, never a secret.
package picker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
)

var (
	// ErrCancelled says that nothing was chosen.
	ErrCancelled = errors.New("nothing was chosen")
	// ErrNoMenu says that no program is there, or none that could be shown.
	ErrNoMenu = errors.New("no menu program")
)

// menu is a program, and where it can be shown.
type menu struct {
	name    string
	args    []string
	prompt  string // the option that takes the prompt
	display string // the variable that must be set; "" for a terminal
}

// menus are tried in this order. dmenu first, as passmenu has it; in Wayland it
// would be a guest.
var menus = []menu{
	{"fuzzel", []string{"--dmenu"}, "--prompt", "WAYLAND_DISPLAY"},
	{"rofi", []string{"-dmenu", "-i", "-no-custom"}, "-p", "WAYLAND_DISPLAY"},
	{"dmenu", []string{"-i"}, "-p", "DISPLAY"},
	{"rofi", []string{"-dmenu", "-i", "-no-custom"}, "-p", "DISPLAY"},
	{"fzf", []string{"--no-multi", "--no-sort"}, "--prompt", ""},
}

// Picker chooses among lines.
type Picker struct {
	menu menu
	path string
}

// Names are the programs that may be asked for by name.
func Names() []string { return []string{"dmenu", "rofi", "fuzzel", "fzf"} }

// Find returns the first menu that is there and can be shown; with a name, that one
// or none. terminal tells whether there is one for fzf.
func Find(getenv func(string) string, lookPath func(string) (string, error), name string, terminal bool) (*Picker, error) {
	for _, m := range menus {
		if name != "" && name != m.name {
			continue
		}
		if m.display != "" && getenv(m.display) == "" || m.display == "" && !terminal {
			continue
		}
		if path, err := lookPath(m.name); err == nil {
			return &Picker{menu: m, path: path}, nil
		}
	}
	want := strings.Join(Names(), ", ")
	if name != "" {
		want = name
	}
	return nil, fmt.Errorf("%w: want %s, and a screen (DISPLAY or WAYLAND_DISPLAY) or, for fzf, a terminal", ErrNoMenu, want)
}

// Name is the program's.
func (p *Picker) Name() string { return p.menu.name }

// Choose shows lines, which must hold no line feed and be different from each other,
// and returns the index of the chosen one.
func (p *Picker) Choose(ctx context.Context, prompt string, lines []string) (int, error) {
	cmd := exec.CommandContext(ctx, p.path, append(slices.Clone(p.menu.args), p.menu.prompt, prompt+" ")...)
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if p.menu.name == "fzf" {
		// Options of the user's could print more than the line, or run programs on it.
		cmd.Env = append(os.Environ(), "FZF_DEFAULT_OPTS=", "FZF_DEFAULT_OPTS_FILE=")
	}
	err := cmd.Run()
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.Exited() && out.Len() == 0 {
		return 0, ErrCancelled
	}
	if err != nil {
		return 0, fmt.Errorf("running %s: %w", p.menu.name, err)
	}
	chosen, whole := strings.CutSuffix(out.String(), "\n")
	if i := slices.Index(lines, chosen); whole && i >= 0 {
		return i, nil
	}
	// dmenu prints what was typed, too.
	return 0, ErrCancelled
}
