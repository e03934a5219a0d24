package prompt_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/splitvault/splitvault/pkg/consent"
	"github.com/splitvault/splitvault/pkg/prompt"
)

// need finds programs of this machine, or says what to install.
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatalf("%s is not installed", p)
			}
			t.Skipf("%s is not installed", p)
		}
	}
}

// screen is a virtual display of its own.
type screen struct {
	t       *testing.T
	display string
	asked   <-chan result // of the last prompt
}

func newScreen(t *testing.T) *screen {
	t.Helper()
	need(t, "Xvfb", "xdotool", "openbox")
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	cmd := exec.Command("Xvfb", "-noreset", "-displayfd", "3", "-screen", "0", "1024x768x24", "-nolisten", "tcp")
	cmd.ExtraFiles = []*os.File{write}
	start(t, cmd)
	write.Close()
	number := make([]byte, 8)
	n, err := read.Read(number)
	if err != nil {
		t.Fatal("Xvfb does not start:", err)
	}
	s := &screen{t: t, display: ":" + strings.TrimSpace(string(number[:n]))}
	wm := exec.Command("openbox", "--sm-disable")
	wm.Env = s.environ()
	start(t, wm)
	time.Sleep(500 * time.Millisecond) // a window that is there before its manager loses the focus
	return s
}

func start(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
}

func (s *screen) environ() []string {
	return []string{"PATH=/usr/bin:/bin", "HOME=" + s.t.TempDir(), "DISPLAY=" + s.display}
}

func (s *screen) xdotool(args ...string) string {
	cmd := exec.Command("xdotool", args...)
	cmd.Env = s.environ()
	out, _ := cmd.Output() // finds nothing: an error
	return strings.TrimSpace(string(out))
}

// window waits for the prompt's window, and then as long as a person would.
func (s *screen) window() string {
	s.t.Helper()
	for end := time.Now().Add(40 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if id := s.xdotool("search", "--onlyvisible", "--name", "splitvault: "); id != "" {
			time.Sleep(time.Second)
			return strings.Fields(id)[0]
		}
	}
	select {
	case r := <-s.asked:
		s.t.Fatalf("no window appears: answered %d, %v", r.answer.Choice, r.err)
	default:
		s.t.Fatal("no window appears")
	}
	return ""
}

func (s *screen) empty() bool {
	return s.xdotool("search", "--onlyvisible", "--name", "splitvault: ") == ""
}

func (s *screen) keys(keys ...string) {
	s.xdotool(append([]string{"windowfocus", "--sync", s.window(), "key", "--delay", "80"}, keys...)...)
}

func (s *screen) environment() prompt.Environment {
	return prompt.Environment{Screen: consent.Screen{Display: s.display}, Home: s.t.TempDir()}
}

func login(remember time.Duration) prompt.Question {
	r := (&consent.SSH{
		Qube: "work", Label: "alice@vault", Fingerprint: "SHA256:" + strings.Repeat("x", 43),
		Purpose: "login", User: "git", Host: "github.com", HostKey: "SHA256:" + strings.Repeat("h", 43), Remember: remember,
	}).Request()
	return prompt.Question{Qube: r.Qube, Lines: r.Lines, Remember: r.Remember}
}

type result struct {
	answer prompt.Answer
	err    error
}

func (s *screen) ask(ctx context.Context, p prompt.Program, q prompt.Question) <-chan result {
	done := make(chan result, 1)
	env := s.environment()
	go func() {
		a, err := p.Ask(ctx, env, q)
		done <- result{a, err}
	}()
	s.asked = done
	return done
}

func wait(t *testing.T, done <-chan result) result {
	t.Helper()
	select {
	case r := <-done:
		return r
	case <-time.After(20 * time.Second):
		t.Fatal("the prompt does not end")
		return result{}
	}
}

func kill(program string) func(*screen) {
	return func(s *screen) {
		s.window()
		for _, pid := range processes(s.t, program, s.display) {
			exec.Command("kill", "-9", fmt.Sprint(pid)).Run()
		}
	}
}

// processes are those of a program on this display, nobody else's.
func processes(t *testing.T, program, display string) []int {
	t.Helper()
	var pids []int
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		exe, _ := os.Readlink(dir + "/exe")
		environ, _ := os.ReadFile(dir + "/environ")
		if filepath.Base(exe) == program && bytes.Contains(append([]byte{0}, environ...), []byte("\x00DISPLAY="+display+"\x00")) {
			var pid int
			fmt.Sscan(filepath.Base(dir), &pid)
			pids = append(pids, pid)
		}
	}
	return pids
}

type row struct {
	name string
	do   func(*screen)
	want prompt.Choice
	err  error
}

func press(keys ...string) func(*screen) { return func(s *screen) { s.keys(keys...) } }

func click(right, bottom string) func(*screen) {
	return func(s *screen) {
		id := s.window()
		size := s.geometry(id)
		var r, b int
		fmt.Sscan(right, &r)
		fmt.Sscan(bottom, &b)
		s.xdotool("mousemove", "--window", id, fmt.Sprint(size["WIDTH"]*r/100), fmt.Sprint(size["HEIGHT"]-b), "click", "1")
	}
}

// geometry is what xdotool says of a window: X, Y, WIDTH, HEIGHT.
func (s *screen) geometry(id string) map[string]int {
	size := map[string]int{}
	for line := range strings.Lines(s.xdotool("getwindowgeometry", "--shell", id)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		var n int
		fmt.Sscan(value, &n)
		size[name] = n
	}
	return size
}

func closeWindow(s *screen) { s.xdotool("windowclose", s.window()) }

func (s *screen) table(t *testing.T, p prompt.Program, rows []row) {
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			s.t = t
			done := s.ask(t.Context(), p, login(5*time.Minute))
			r.do(s)
			got := wait(t, done)
			if got.answer.Choice != r.want || !errors.Is(got.err, r.err) {
				t.Errorf("got %d, %v, want %d, %v", got.answer.Choice, got.err, r.want, r.err)
			}
		})
	}
}

func TestZenity(t *testing.T) {
	t.Parallel()
	need(t, "zenity")
	s := newScreen(t)
	s.table(t, prompt.Zenity{}, []row{
		{"Return denies", press("Return"), prompt.Deny, nil},
		{"space denies", press("space"), prompt.Deny, nil},
		{"Escape closes", press("Escape"), prompt.Close, nil},
		{"Alt+F4 closes", press("alt+F4"), prompt.Close, nil},
		{"a destroyed window is no yes", closeWindow, prompt.Close, nil},
		{"second button", press("Tab", "Return"), prompt.Once, nil},
		{"third button", press("Tab", "Tab", "space"), prompt.Lasting, nil},
		{"mouse on deny", click("17", "25"), prompt.Deny, nil},
		{"mouse on allow once", click("50", "25"), prompt.Once, nil},
		{"mouse on allow for a time", click("83", "25"), prompt.Lasting, nil},
		{"killed", kill("zenity"), prompt.None, prompt.ErrFailed},
	})
}

func TestPinentry(t *testing.T) {
	need(t, "pinentry-gtk-2")
	s := newScreen(t)
	s.table(t, prompt.Pinentry{Only: "pinentry-gtk-2"}, []row{
		{"Return cancels", press("Return"), prompt.Close, nil},
		{"Escape cancels", press("Escape"), prompt.Close, nil},
		{"Alt+F4 cancels", press("alt+F4"), prompt.Close, nil},
		{"second button", press("Tab", "Return"), prompt.Once, nil},
		{"third button", press("Tab", "Tab", "Return"), prompt.Deny, nil},
		{"killed", kill("pinentry-gtk-2"), prompt.None, prompt.ErrFailed},
	})
}

func TestPinentryQt(t *testing.T) {
	need(t, "pinentry-qt")
	s := newScreen(t)
	s.table(t, prompt.Pinentry{Only: "pinentry-qt"}, []row{
		{"Return cancels", press("Return"), prompt.Close, nil},
		{"Escape cancels", press("Escape"), prompt.Close, nil},
		{"second button", press("Tab", "Tab", "space"), prompt.Once, nil},
	})
}

// The window of a client that is gone must go within a second.
func TestWithdrawn(t *testing.T) {
	need(t, "zenity", "pinentry-gtk-2")
	s := newScreen(t)
	for name, p := range map[string]prompt.Program{"zenity": prompt.Zenity{}, "pinentry-gtk-2": prompt.Pinentry{}} {
		t.Run(name, func(t *testing.T) {
			s.t = t
			ctx, cancel := context.WithCancel(t.Context())
			done := s.ask(ctx, p, login(0))
			s.window()
			cancel()
			if r := wait(t, done); r.answer.Choice != prompt.None || !errors.Is(r.err, context.Canceled) {
				t.Error(r)
			}
			// A second of looks: on a machine that is busy each of them takes longer.
			for try := 0; !s.empty() || len(processes(t, name, s.display)) > 0; try++ {
				if try == 20 {
					t.Fatal("the window is still there after a second")
				}
				time.Sleep(40 * time.Millisecond)
			}
		})
	}
}

func TestNoDisplay(t *testing.T) {
	need(t, "zenity", "pinentry-gtk-2")
	for name, env := range map[string]prompt.Environment{
		"none":           {},
		"nobody listens": {Screen: consent.Screen{Display: ":97"}},
		"over a network": {Screen: consent.Screen{Display: "example.org:0"}},
	} {
		_, err := prompt.Usable(env.Screen, t.TempDir())
		if !errors.Is(err, prompt.ErrNoDisplay) {
			t.Errorf("%s: got %v", name, err)
		}
		a, err := prompt.First(prompt.Zenity{}, prompt.Pinentry{}).Ask(t.Context(), env, login(0))
		if !errors.Is(err, prompt.ErrNotHere) || a.Choice != prompt.None {
			t.Errorf("%s: got %v, %v", name, a, err)
		}
	}
}
