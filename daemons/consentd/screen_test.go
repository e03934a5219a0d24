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

// until looks as often as fits into a time: longer, where the machine is busy and a
// look takes long.
func until(t *testing.T, limit time.Duration, what string, done func() bool) {
	t.Helper()
	const pause = 20 * time.Millisecond
	for left := limit / pause; !done(); left-- {
		if left == 0 {
			t.Fatal(what)
		}
		time.Sleep(pause)
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

// askOn asks as a guard does whose own display is this one.
func askOn(t *testing.T, display string, getenv func(string) string, r consent.Request) <-chan consent.Answer {
	t.Helper()
	c := connected(t, func(key string) string {
		if key == "DISPLAY" {
			return display
		}
		return getenv(key)
	})
	answered := make(chan consent.Answer, 1)
	go func() {
		defer c.Close()
		a, err := c.Ask(t.Context(), r)
		if err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
		answered <- a
	}()
	return answered
}

func by(qube string) consent.Request {
	r := (&consent.SSH{Qube: qube, Fingerprint: "SHA256:x", Purpose: "login", User: "git", Remember: time.Minute}).Request()
	return r
}

// Two qubes ask at once: one window after the other, each with its own qube's name
// and its own answer; and what one has been granted waits for nobody's window.
func TestTwoQubesAtOnce(t *testing.T) {
	name, windows := display(t)
	getenv, _ := started(t)
	one := func() string {
		t.Helper()
		until(t, 20*time.Second, "no window", func() bool { return len(windows()) > 0 })
		time.Sleep(1500 * time.Millisecond)
		all := windows()
		if len(all) != 1 {
			t.Fatalf("%d windows at once", len(all))
		}
		return all[0]
	}
	press := func(id string, keys ...string) {
		xdotool(name, append([]string{"windowfocus", "--sync", id, "key", "--delay", "80"}, keys...)...)
	}
	want := func(answered <-chan consent.Answer, reason consent.Reason) {
		t.Helper()
		select {
		case a := <-answered:
			if a.Reason != reason {
				t.Errorf("got %q, want %q", a, reason)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("no answer, want %q", reason)
		}
	}
	granted := askOn(t, name, getenv, by("mail"))
	press(one(), "Tab", "Tab", "space")
	want(granted, consent.Lasting)

	answers := map[string]<-chan consent.Answer{"work": askOn(t, name, getenv, by("work")), "dev": askOn(t, name, getenv, by("dev"))}
	reasons := []consent.Reason{consent.Denied, consent.Once}
	for n, keys := range [][]string{{"Return"}, {"Tab", "Return"}} {
		id := one()
		title := strings.TrimSpace(xdotool(name, "getwindowname", id))
		qube := strings.TrimSuffix(strings.TrimPrefix(title, "splitvault: "), " asks")
		if answers[qube] == nil {
			t.Fatalf("the window is called %q", title)
		}
		want(askOn(t, name, getenv, by("mail")), consent.Granted)
		press(id, keys...)
		want(answers[qube], reasons[n])
		delete(answers, qube)
	}
}

// Nobody answers: the window goes, and it is a no.
func TestNobodyAnswers(t *testing.T) {
	name, windows := display(t)
	getenv, _ := started(t, "--answer-time", "2s")
	answered := askOn(t, name, getenv, question())
	until(t, 20*time.Second, "no window", func() bool { return len(windows()) > 0 })
	if a := <-answered; a.Reason != consent.TimedOut {
		t.Errorf("got %q", a)
	}
	until(t, 2*time.Second, "the window is still there", func() bool { return len(windows()) == 0 })
}
