package clipboard

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// long bounds what must happen at once, on a busy machine under the race detector.
const long = 20 * time.Second

func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
}

// screen starts a real X server, and returns an environment that names it.
func screen(t *testing.T) func(string) string {
	t.Helper()
	need(t, "Xvfb", "xclip")
	cmd := exec.Command("Xvfb", "-noreset", "-displayfd", "1", "-screen", "0", "640x480x24", "-nolisten", "tcp")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
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
	number, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal("Xvfb does not start:", err)
	}
	display := ":" + strings.TrimSpace(number)
	return func(name string) string { return map[string]string{"DISPLAY": display}[name] }
}

// own makes an offer that ends with the test, or earlier by itself.
func own(t *testing.T, getenv func(string) string, o Offer) (ended chan Ending, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ready, ended := make(chan struct{}), make(chan Ending, 1)
	var wait sync.WaitGroup
	wait.Go(func() {
		ending, err := Own(ctx, getenv, o, func() { close(ready) })
		if err != nil && ctx.Err() == nil {
			t.Error(err)
		}
		ended <- ending
	})
	t.Cleanup(func() {
		cancel()
		wait.Wait()
	})
	select {
	case <-ready:
	case <-time.After(long):
		t.Fatal("the offer was never made")
	}
	return ended, cancel
}

// xclip runs xclip, and returns what it printed.
func xclip(getenv func(string) string, stdin string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), long)
	defer cancel()
	cmd := exec.CommandContext(ctx, "xclip", args...)
	cmd.Env = append(os.Environ(), "DISPLAY="+getenv("DISPLAY"))
	if stdin != "" {
		// It stays in the background, with its output open.
		cmd.Stdin = strings.NewReader(stdin)
		return "", cmd.Run()
	}
	out, err := cmd.Output()
	return string(out), err
}

func await(t *testing.T, ended chan Ending, want Ending) {
	t.Helper()
	select {
	case got := <-ended:
		if got != want {
			t.Errorf("ended with %q, want %q", got, want)
		}
	case <-time.After(long):
		t.Errorf("the offer did not end with %q", want)
	}
}

const password = "pä\\$$w0rd!\"'{}~密🔑 \t\n"

func TestEveryPasteGetsTheText(t *testing.T) {
	t.Parallel()
	getenv := screen(t)
	for selection, text := range map[string]string{Clipboard: password, Primary: "-n", Secondary: ""} {
		ended, stop := own(t, getenv, Offer{Text: []byte(text), Selection: selection, For: time.Minute})
		for range 3 {
			for _, target := range []string{"UTF8_STRING", "text/plain", "text/plain;charset=utf-8", "TEXT"} {
				if got, err := xclip(getenv, "", "-o", "-selection", selection, "-t", target); got != text || err != nil {
					t.Errorf("%s %s: got %q, %v, want %q", selection, target, got, err, text)
				}
			}
		}
		stop()
		await(t, ended, "")
		if got, err := xclip(getenv, "", "-o", "-selection", selection); err == nil {
			t.Errorf("after the end there is %q", got)
		}
	}
}

// What Klipper asks for, so as not to keep the text.
func TestClipboardManagersAreTold(t *testing.T) {
	t.Parallel()
	getenv := screen(t)
	own(t, getenv, Offer{Text: []byte(password), Selection: Clipboard, For: time.Minute})
	if got, err := xclip(getenv, "", "-o", "-selection", "clipboard", "-t", "x-kde-passwordManagerHint"); got != "secret" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	targets, err := xclip(getenv, "", "-o", "-selection", "clipboard", "-t", "TARGETS")
	if err != nil || !strings.Contains(targets, "x-kde-passwordManagerHint") || !strings.Contains(targets, "UTF8_STRING") {
		t.Errorf("got %q, %v", targets, err)
	}
	// Latin-1 cannot say it.
	if slices.Contains(strings.Fields(targets), "STRING") {
		t.Errorf("STRING is offered for %q", password)
	}
	if got, err := xclip(getenv, "", "-o", "-selection", "clipboard", "-t", "image/png"); err == nil {
		t.Errorf("as a picture it is %q", got)
	}
}

func TestOnePasteEndsAnOfferForOne(t *testing.T) {
	t.Parallel()
	getenv := screen(t)
	ended, _ := own(t, getenv, Offer{Text: []byte(password), Selection: Clipboard, For: time.Minute, Once: true})
	for _, target := range []string{"TARGETS", "x-kde-passwordManagerHint", "TIMESTAMP"} { // no pastes
		if _, err := xclip(getenv, "", "-o", "-selection", "clipboard", "-t", target); err != nil {
			t.Errorf("%s: %v", target, err)
		}
	}
	if got, err := xclip(getenv, "", "-o", "-selection", "clipboard"); got != password || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	await(t, ended, Pasted)
	if got, err := xclip(getenv, "", "-o", "-selection", "clipboard"); err == nil {
		t.Errorf("a second paste got %q", got)
	}
}

func TestTimeEndsIt(t *testing.T) {
	t.Parallel()
	getenv := screen(t)
	ended, _ := own(t, getenv, Offer{Text: []byte(password), Selection: Clipboard, For: 50 * time.Millisecond})
	await(t, ended, TimeUp)
	if got, err := xclip(getenv, "", "-o", "-selection", "clipboard"); err == nil {
		t.Errorf("after its time there is %q", got)
	}
}

// The fault of scripts that put an empty string there, whatever is there by then.
func TestWhatSomebodyElseCopiedStays(t *testing.T) {
	t.Parallel()
	getenv := screen(t)
	ended, _ := own(t, getenv, Offer{Text: []byte(password), Selection: Clipboard, For: time.Minute})
	if _, err := xclip(getenv, "theirs", "-i", "-selection", "clipboard"); err != nil {
		t.Fatal(err)
	}
	await(t, ended, Replaced)
	if got, err := xclip(getenv, "", "-o", "-selection", "clipboard"); got != "theirs" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestNoScreen(t *testing.T) {
	t.Parallel()
	for what, env := range map[string]map[string]string{
		"none":            {},
		"gone":            {"DISPLAY": ":4711"},
		"another machine": {"DISPLAY": "example.com:0"},
		"nonsense":        {"DISPLAY": "x"},
		"no compositor":   {"WAYLAND_DISPLAY": "wayland-4711", "XDG_RUNTIME_DIR": t.TempDir()},
	} {
		_, err := Own(t.Context(), func(name string) string { return env[name] }, Offer{Selection: Clipboard, For: time.Minute},
			func() { t.Errorf("%s: ready", what) })
		if err == nil || what == "none" && !errors.Is(err, ErrNoDisplay) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := Own(t.Context(), func(string) string { return ":0" }, Offer{Text: make([]byte, MaxText+1)}, nil); !errors.Is(err, ErrTooLong) {
		t.Errorf("too long: %v", err)
	}
}
