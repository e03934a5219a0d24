package typist

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// long bounds what must happen at once, on a busy machine under the race detector.
const long = 30 * time.Second

func start(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

// screen is a real X server.
func screen(t *testing.T) string {
	t.Helper()
	for _, p := range []string{"Xvfb", "xdotool", "zenity"} {
		if _, err := exec.LookPath(p); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
	cmd := exec.Command("Xvfb", "-noreset", "-displayfd", "1", "-screen", "0", "640x480x24", "-nolisten", "tcp")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	start(t, cmd)
	number, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal("Xvfb does not start:", err)
	}
	return ":" + strings.TrimSpace(number)
}

func xdotool(t *testing.T, display string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), long)
	defer cancel()
	cmd := exec.CommandContext(ctx, "xdotool", args...)
	cmd.Env = append(os.Environ(), "DISPLAY="+display)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("xdotool %q: %v, %s", args, err, out)
	}
	return string(out)
}

// fill types into a real window's line, and returns what is in it then.
func fill(t *testing.T, display, text string) string {
	t.Helper()
	window := exec.Command("zenity", "--entry", "--title", "line")
	window.Env = append(os.Environ(), "DISPLAY="+display, "GDK_BACKEND=x11", "GTK_A11Y=none", "NO_AT_BRIDGE=1", "HOME="+t.TempDir(), "LC_ALL=C.UTF-8")
	var out bytes.Buffer
	window.Stdout = &out
	start(t, window)
	xdotool(t, display, "search", "--sync", "--onlyvisible", "--name", "^line$", "windowfocus", "--sync")
	getenv := func(name string) string { return map[string]string{"DISPLAY": display}[name] }
	if err := Type(t.Context(), getenv, []byte(text), 12*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	xdotool(t, display, "key", "Return")
	ended := make(chan error, 1)
	go func() { ended <- window.Wait() }()
	select {
	case <-ended:
	case <-time.After(long):
		t.Error("the window does not end")
		_ = window.Process.Kill()
		<-ended
	}
	return strings.TrimSuffix(out.String(), "\n")
}

// The first text of a new screen, too, which xdotool loses characters of.
func TestEveryCharacterArrives(t *testing.T) {
	t.Parallel()
	display := screen(t)
	printable := make([]byte, 0, 95)
	for c := byte(0x20); c < 0x7f; c++ {
		printable = append(printable, c)
	}
	for _, text := range []string{
		"pä\\$$w0rd!\"'{}~`^|密東🔑ü",
		string(printable[1:]),
		"Ω≈ç√∫˜µ≤ Пароль مرحبا שלום 漢字かな한글 aa",
	} {
		if got := fill(t, display, text); got != text {
			t.Errorf("got  %q\nwant %q", got, text)
		}
	}
	// Caps Lock changes nothing, and stays on.
	xdotool(t, display, "key", "Caps_Lock")
	if got := fill(t, display, "Caps lock"); got != "Caps lock" {
		t.Errorf("with Caps Lock: got %q", got)
	}
	xdotool(t, display, "key", "Caps_Lock")
}

func TestWhatNoKeyTypes(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"a\x00", "\x1b", "\xff", "\u0085", "a\x7f"} {
		if err := Type(t.Context(), func(string) string { return "" }, []byte(text), 0); !errors.Is(err, ErrNoKey) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if err := Type(t.Context(), func(string) string { return "" }, make([]byte, MaxText+1), 0); !errors.Is(err, ErrTooLong) {
		t.Errorf("too long: %v", err)
	}
	if err := Type(t.Context(), func(string) string { return "" }, []byte("a"), 0); err == nil {
		t.Error("typed without a screen")
	}
}

// A window that is busy for a while reads what was typed later. The keys must mean the
// same then, also where the text has more characters than there are keys to spare.
func TestABusyWindowGetsTheSameText(t *testing.T) {
	t.Parallel()
	display := screen(t)
	window := exec.Command("zenity", "--entry", "--title", "line")
	window.Env = append(os.Environ(), "DISPLAY="+display, "GDK_BACKEND=x11", "GTK_A11Y=none", "NO_AT_BRIDGE=1", "HOME="+t.TempDir(), "LC_ALL=C.UTF-8")
	var out bytes.Buffer
	window.Stdout = &out
	start(t, window)
	xdotool(t, display, "search", "--sync", "--onlyvisible", "--name", "^line$", "windowfocus", "--sync")
	if err := window.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	getenv := func(name string) string { return map[string]string{"DISPLAY": display}[name] }
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := Type(ctx, getenv, []byte("nothing of this"), 0); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a window that reads no keys: %v", err)
	}
	wakes := time.AfterFunc(4*time.Second, func() { _ = window.Process.Signal(syscall.SIGCONT) })
	defer wakes.Stop()
	const text = "pä\\$$w0rd!\"'{}~`^| ü密東🔑abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	if err := Type(t.Context(), getenv, []byte(text), time.Millisecond); err != nil {
		t.Fatal(err)
	}
	xdotool(t, display, "key", "Return")
	if err := window.Wait(); err != nil || out.String() != text+"\n" {
		t.Errorf("the window has %q, %v", out.String(), err)
	}
}
