package x11

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func need(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("%s is not installed", program)
		}
		t.Skipf("%s is not installed", program)
	}
}

// display starts a virtual one, which wants a cookie if there is a file of them.
func display(t *testing.T, cookies string) string {
	t.Helper()
	need(t, "Xvfb")
	args := []string{"-noreset", "-displayfd", "1", "-screen", "0", "640x480x24", "-nolisten", "tcp"}
	if cookies != "" {
		args = append(args, "-auth", cookies)
	}
	cmd := exec.Command("Xvfb", args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return ":" + strings.TrimSpace(line)
}

func show(t *testing.T, display, cookies, title string) {
	t.Helper()
	need(t, "zenity")
	cmd := exec.Command("zenity", "--question", "--no-markup", "--title", title, "--text", "x")
	cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + t.TempDir(), "DISPLAY=" + display, "XAUTHORITY=" + cookies, "NO_AT_BRIDGE=1", "GTK_A11Y=none"}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

func closes(t *testing.T, c chan struct{}, within time.Duration) bool {
	t.Helper()
	select {
	case <-c:
		return true
	case <-time.After(within):
		return false
	}
}

func TestAWindowIsSeenWhenItIsThereAndNotBefore(t *testing.T) {
	name := display(t, "")
	start := time.Now()
	w := NewWatch(t.Context(), name, "", t.TempDir(), "splitvault: work asks")
	show(t, name, "", "splitvault: work ask") // another's title
	if closes(t, w.Seen, 2*time.Second) {
		t.Fatal("a window is seen that is not there")
	}
	before := time.Now()
	show(t, name, "", "splitvault: work asks")
	if !closes(t, w.Seen, 20*time.Second) {
		t.Fatal("the window is not seen")
	}
	if at := w.At(); at.Before(before) || at.Before(start) || time.Since(at) > 10*time.Second {
		t.Errorf("seen at %v", at)
	}
}

func TestCookies(t *testing.T) {
	number := "0" // Xvfb takes any entry's data
	file := filepath.Join(t.TempDir(), "cookies")
	if err := os.WriteFile(file, record(65535, "", "", cookieName, strings.Repeat("k", 16)), 0o600); err != nil {
		t.Fatal(err)
	}
	name := display(t, file)
	if w := NewWatch(t.Context(), name, file, "", "x"); closes(t, w.Lost, 500*time.Millisecond) {
		t.Error("with the cookie:", w.Err())
	}
	w := NewWatch(t.Context(), name, filepath.Join(t.TempDir(), "none"), "", "x")
	if !closes(t, w.Lost, 10*time.Second) || w.Err() == nil {
		t.Error("without the cookie nobody says that the window cannot be seen")
	}
	both := append(record(256, "host", "7", cookieName, "wrong"), record(256, "host", number, "XDM", "wrong")...)
	both = append(both, record(256, "host", number, cookieName, "right")...)
	if c := findCookie(both, "", number); string(c) != "right" {
		t.Errorf("got %q", c)
	}
}

func TestNoDisplayIsLost(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", ":", ":x", "host:0", ":12345", ":123456"} {
		w := NewWatch(t.Context(), name, "", t.TempDir(), "x")
		if !closes(t, w.Lost, 10*time.Second) || w.Err() == nil {
			t.Errorf("%q: not lost", name)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if w := NewWatch(ctx, ":12345", "", "", "x"); closes(t, w.Lost, 50*time.Millisecond) {
		t.Error("who does not ask any more is told")
	}
}
