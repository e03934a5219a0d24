package main

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/splitvault/splitvault/pkg/consent"
)

// display starts a virtual one; windows lists the prompts on it.
func display(t *testing.T) (name string, windows func() []string) {
	t.Helper()
	for _, p := range []string{"Xvfb", "xdotool", "zenity"} {
		if _, err := exec.LookPath(p); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatalf("%s is not installed", p)
			}
			t.Skipf("%s is not installed", p)
		}
	}
	cmd := exec.Command("Xvfb", "-noreset", "-displayfd", "1", "-screen", "0", "1024x768x24", "-nolisten", "tcp")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	name = ":" + strings.TrimSpace(line)
	return name, func() []string {
		return strings.Fields(xdotool(name, "search", "--onlyvisible", "--name", "splitvault: "))
	}
}

func xdotool(display string, args ...string) string {
	cmd := exec.Command("xdotool", args...)
	cmd.Env = []string{"PATH=/usr/bin:/bin", "DISPLAY=" + display}
	out, _ := cmd.Output()
	return string(out)
}

func until(t *testing.T, limit time.Duration, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

// The whole way: guards, socket, queue, the real zenity and a person's keys.
func TestPromptsOnAScreen(t *testing.T) {
	name, windows := display(t)
	getenv, cmd := started(t)
	guard := func(key string) string {
		if key == "DISPLAY" {
			return name
		}
		return getenv(key)
	}
	ask := func(ctx context.Context, r consent.Request, want consent.Reason) {
		c := connected(t, guard)
		defer c.Close()
		if a, err := c.Ask(ctx, r); a.Reason != want || (err == nil) != (want != "") {
			t.Errorf("%s: got %v, %v, want %q", r.Qube, a, err, want)
		}
	}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() { ask(t.Context(), question(), consent.Once) })
	}
	until(t, 20*time.Second, "no window", func() bool { return len(windows()) > 0 })
	time.Sleep(1500 * time.Millisecond)
	xdotool(name, "windowfocus", "--sync", windows()[0], "key", "--delay", "80", "Tab", "Return")
	all.Wait()
	until(t, time.Second, "a joined question has a window of its own", func() bool { return len(windows()) == 0 })

	ctx, cancel := context.WithCancel(t.Context())
	all.Go(func() { ask(ctx, question(), "") })
	until(t, 20*time.Second, "no window", func() bool { return len(windows()) > 0 })
	cancel()
	until(t, time.Second, "the window of a client that is gone is still there", func() bool { return len(windows()) == 0 })
	all.Wait()

	all.Go(func() { ask(t.Context(), question(), "") })
	until(t, 20*time.Second, "no window", func() bool { return len(windows()) > 0 })
	cmd.Process.Kill()
	until(t, time.Second, "the window outlives consentd", func() bool { return len(windows()) == 0 })
	all.Wait()
}
