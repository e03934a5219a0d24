package prompt_test

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/splitvault/splitvault/pkg/consent"
	"github.com/splitvault/splitvault/pkg/prompt"
)

// Text of a client that zenity or a pinentry would take for markup, an option or a
// command, or that would push the buttons off the screen, changes nothing: the window
// is there with its own title, on the screen, and its first button is Deny.
func TestHostileTextInTheRealDialogs(t *testing.T) {
	t.Parallel()
	need(t, "zenity", "pinentry-gtk-2", "pinentry-qt")
	s := newScreen(t)
	texts := map[string]string{
		"markup":     `</b><span size="100000">x</span><a href="file:///">&bogus;`,
		"line feeds": strings.Repeat("\n", 500) + "Allow the qube dom0 to do nothing?",
		"long":       strings.Repeat("W", 10000),
		"commands":   "%0AOK\nD yes\nSETOK Allow\n--timeout=1",
		"not text":   "\x00\xff\xfe\u202e\u2066\x1b[2J",
	}
	programs := map[string]struct {
		program prompt.Program
		want    prompt.Choice // of the Return key
	}{
		"zenity": {prompt.Zenity{}, prompt.Deny},
		"gtk":    {prompt.Pinentry{Only: "pinentry-gtk-2"}, prompt.Close},
		"qt":     {prompt.Pinentry{Only: "pinentry-qt"}, prompt.Close},
	}
	for name, p := range programs {
		for kind, text := range texts {
			if name != "zenity" && kind != "markup" && kind != "commands" {
				continue // the bytes are the same for all by then
			}
			t.Run(name+"/"+kind, func(t *testing.T) {
				s.t = t
				done := s.ask(t.Context(), p.program, hostile(text))
				s.onScreen(s.window())
				s.keys("Return")
				if got := wait(t, done); got.answer.Choice != p.want || got.err != nil {
					t.Errorf("got %d, %v, want %d", got.answer.Choice, got.err, p.want)
				}
			})
		}
	}
}

// A question as full as one gets, in rows that break where that takes most room,
// leaves the buttons on a small screen.
func TestTheFullestQuestionFitsTheScreen(t *testing.T) {
	t.Parallel()
	need(t, "zenity", "pinentry-gtk-2", "pinentry-qt")
	s := newScreen(t)
	clef := consent.Clef{Qube: "work", Origin: "https://" + strings.Repeat("a", 300), Deed: strings.Repeat("d", 200), Account: strings.Repeat("A", 42), Remember: time.Minute}
	for range 2 * consent.MaxLines {
		clef.Details = append(clef.Details, consent.Line{Label: "Field", Text: strings.Repeat(strings.Repeat("W", 32)+" ", 30)})
	}
	r := clef.Request()
	for name, p := range map[string]prompt.Program{"zenity": prompt.Zenity{}, "gtk": prompt.Pinentry{Only: "pinentry-gtk-2"}, "qt": prompt.Pinentry{Only: "pinentry-qt"}} {
		t.Run(name, func(t *testing.T) {
			s.t = t
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			done := s.ask(ctx, p, prompt.Question{Qube: r.Qube, Lines: r.Lines, Remember: r.Remember})
			id := s.window()
			s.onScreen(id)
			cancel()
			<-done
		})
	}
}

// onScreen checks that a window can be read, buttons and all.
func (s *screen) onScreen(id string) {
	s.t.Helper()
	if title := s.xdotool("getwindowname", id); title != "splitvault: work asks" {
		s.t.Errorf("the title is %q", title)
	}
	size := s.geometry(id)
	if size["WIDTH"] > 1024 || size["HEIGHT"] > 768 || size["X"] < 0 || size["Y"] < 0 {
		s.t.Errorf("the window is larger than the screen: %v", size)
	}
}

// The window goes when the time to answer is over, in all programs.
func TestTheTimeToAnswerEnds(t *testing.T) {
	need(t, "zenity", "pinentry-gtk-2", "pinentry-qt")
	s := newScreen(t)
	for name, p := range map[string]prompt.Program{
		"zenity": prompt.Zenity{}, "pinentry-gtk-2": prompt.Pinentry{}, "pinentry-qt": prompt.Pinentry{Only: "pinentry-qt"},
	} {
		t.Run(name, func(t *testing.T) {
			s.t = t
			ctx, cancel := context.WithTimeoutCause(t.Context(), 2*time.Second, errOver)
			defer cancel()
			if got := wait(t, s.ask(ctx, p, login(0))); got.answer.Choice != prompt.None || !errors.Is(got.err, errOver) {
				t.Errorf("got %+v", got)
			}
			until(t, "the window stays", func() bool { return s.empty() && len(processes(t, name, s.display)) == 0 })
		})
	}
}

// A program that was stopped while it asks goes with its time, too: nobody can press its
// buttons, and nothing but SIGKILL ends it.
func TestAProgramThatHangsGoesWhenTheTimeIsOver(t *testing.T) {
	need(t, "zenity", "pinentry-gtk-2", "pinentry-qt")
	s := newScreen(t)
	for name, p := range map[string]prompt.Program{
		"zenity": prompt.Zenity{}, "pinentry-gtk-2": prompt.Pinentry{}, "pinentry-qt": prompt.Pinentry{Only: "pinentry-qt"},
	} {
		t.Run(name, func(t *testing.T) {
			s.t = t
			ctx, over := context.WithCancelCause(t.Context())
			defer over(nil)
			done := s.ask(ctx, p, login(0))
			s.window()
			asking := processes(t, name, s.display)
			if len(asking) == 0 {
				t.Fatal("nobody asks")
			}
			for _, pid := range asking {
				if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
					t.Fatal(err)
				}
			}
			over(errOver)
			if got := wait(t, done); got.answer.Choice != prompt.None || !errors.Is(got.err, errOver) {
				t.Errorf("got %+v", got)
			}
			until(t, "it stays", func() bool { return s.empty() && len(processes(t, name, s.display)) == 0 })
		})
	}
}

// A key that was meant for another window, and finds the prompt under it: the
// answer's time since the window could be seen tells.
func TestTheAnswerTellsSinceWhenTheWindowWasThere(t *testing.T) {
	need(t, "zenity", "pinentry-gtk-2", "pinentry-qt")
	s := newScreen(t)
	for name, row := range map[string]struct {
		program prompt.Program
		keys    []string
	}{
		"zenity":         {prompt.Zenity{}, []string{"Tab", "Return"}},
		"pinentry-gtk-2": {prompt.Pinentry{}, []string{"Tab", "Return"}},
		"pinentry-qt":    {prompt.Pinentry{Only: "pinentry-qt"}, []string{"Tab", "Tab", "space"}},
	} {
		t.Run(name, func(t *testing.T) {
			s.t = t
			before := time.Now()
			done := s.ask(t.Context(), row.program, login(0))
			s.window() // and a second
			seen := time.Now().Add(-time.Second)
			s.keys(row.keys...)
			got := wait(t, done)
			if got.answer.Choice != prompt.Once || got.err != nil {
				t.Fatalf("got %+v", got)
			}
			if shown := got.answer.Shown; shown.Before(before) || shown.After(seen.Add(time.Second)) {
				t.Errorf("shown %v after the start, seen by xdotool %v after it", shown.Sub(before), seen.Sub(before))
			}
		})
	}
}
