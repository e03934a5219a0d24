package prompt_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/splitvault/splitvault/pkg/consent"
	"github.com/splitvault/splitvault/pkg/prompt"
)

// terminal is a pseudo terminal with a person before it.
type terminal struct {
	t    *testing.T
	file *os.File
	path string // of the side that programs have

	mu   sync.Mutex
	text []byte // what was drawn
}

func newTerminal(t *testing.T) *terminal {
	t.Helper()
	f, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if err := unix.IoctlSetPointerInt(int(f.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(f.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(int(f.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 40, Col: 100}); err != nil {
		t.Fatal(err)
	}
	s := &terminal{t: t, file: f, path: fmt.Sprintf("/dev/pts/%d", number)}
	// Held open, as a shell does: else what nobody has open any more is an error to read.
	side, err := os.OpenFile(s.path, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { side.Close() })
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := f.Read(b)
			s.mu.Lock()
			s.text = append(s.text, b[:n]...)
			s.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return s
}

// drawn waits until a text was drawn, and returns all that was.
func (s *terminal) drawn(text string) []byte {
	s.t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		s.mu.Lock()
		all := bytes.Clone(s.text)
		s.mu.Unlock()
		if bytes.Contains(all, []byte(text)) {
			return all
		}
	}
	s.t.Fatalf("%q is not drawn", text)
	return nil
}

func (s *terminal) keys(keys string) {
	s.t.Helper()
	if _, err := s.file.WriteString(keys); err != nil {
		s.t.Fatal(err)
	}
}

// Where there is a terminal and no display, pinentry-curses asks there.
func TestPinentryCurses(t *testing.T) {
	need(t, "pinentry-curses")
	for name, row := range map[string]struct {
		keys string
		want prompt.Choice
	}{
		"Return":        {"\r", prompt.Deny},
		"second button": {"\t\r", prompt.Once},
		"third button":  {"\t\t\r", prompt.Close},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newTerminal(t)
			env := prompt.Environment{Screen: consent.Screen{TTY: s.path}, Home: t.TempDir()}
			usable, err := prompt.Usable(env.Screen, t.TempDir())
			if err != nil || usable != env.Screen {
				t.Fatalf("usable %v, %v", usable, err)
			}
			done := make(chan result, 1)
			go func() {
				a, err := prompt.First(prompt.Zenity{}, prompt.Pinentry{}).Ask(t.Context(), env, login(time.Minute))
				done <- result{a, err}
			}()
			s.drawn("Allow once")
			s.keys(row.keys)
			if got := wait(t, done); got.answer.Choice != row.want || got.err != nil {
				t.Errorf("got %d, %v, want %d", got.answer.Choice, got.err, row.want)
			}
		})
	}
}

// What a client sends commands no terminal, and leaves the vault's words in place.
func TestHostileTextOnATerminal(t *testing.T) {
	need(t, "pinentry-curses")
	s := newTerminal(t)
	env := prompt.Environment{Screen: consent.Screen{TTY: s.path}, Home: t.TempDir()}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan result, 1)
	go func() {
		a, err := prompt.Pinentry{}.Ask(ctx, env, hostile("\x1b[2J\x1b]0;owned\a%0AD yes\nOK\r\n<b>\u202e"))
		done <- result{a, err}
	}()
	all := s.drawn("Allow once")
	for _, evil := range []string{"\x1b]0;", "owned\a", "\u202e"} {
		if bytes.Contains(all, []byte(evil)) {
			t.Errorf("the terminal gets %q", evil)
		}
	}
	if !strings.Contains(string(all), `UNVERIFIED`) {
		t.Errorf("the question is not there: %q", all)
	}
	cancel()
	if r := wait(t, done); r.answer.Choice != prompt.None || !errors.Is(r.err, context.Canceled) {
		t.Error(r)
	}
}

func hostile(user string) prompt.Question {
	r := (&consent.SSH{Qube: "work", Fingerprint: "SHA256:x", Purpose: "login", User: user, Remember: time.Minute}).Request()
	return prompt.Question{Qube: r.Qube, Lines: r.Lines, Remember: r.Remember}
}
