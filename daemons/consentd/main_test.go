package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/splitvault/splitvault/pkg/consent"
)

// TestMain makes this test binary consentd when it is asked to be.
func TestMain(m *testing.M) {
	if os.Getenv("CONSENTD") != "" {
		main()
	}
	os.Exit(m.Run())
}

// started runs consentd in a runtime directory of its own, without a display.
func started(t *testing.T, args ...string) (getenv func(string) string, cmd *exec.Cmd) {
	t.Helper()
	dir, err := os.MkdirTemp("", "consentd") // short: a socket's path is
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	getenv = func(name string) string { return map[string]string{"XDG_RUNTIME_DIR": dir}[name] }
	return getenv, again(t, dir, args...)
}

func again(t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Env = []string{"CONSENTD=1", "XDG_RUNTIME_DIR=" + dir, "HOME=" + dir}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return cmd
}

func connected(t *testing.T, getenv func(string) string) *consent.Client {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		c, err := consent.Connect(t.Context(), getenv)
		if err == nil {
			t.Cleanup(func() { c.Close() })
			return c
		}
		if !errors.Is(err, consent.ErrNotRunning) || time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

func question() consent.Request {
	return (&consent.SSH{Qube: "work", Fingerprint: "SHA256:x", Purpose: "login", User: "git"}).Request()
}

func TestNoDisplayDeniesAtOnce(t *testing.T) {
	getenv, _ := started(t)
	c := connected(t, getenv)
	start := time.Now()
	for range 3 {
		a, err := c.Ask(t.Context(), question())
		if err != nil || a.Allowed() || a.Reason != consent.NoDisplay {
			t.Errorf("got %v, %v", a, err)
		}
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
	info, err := os.Stat(filepath.Join(getenv("XDG_RUNTIME_DIR"), "splitvault", consent.SocketName))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info.Mode(), err)
	}
}

func TestKilledIsNo(t *testing.T) {
	getenv, cmd := started(t)
	c := connected(t, getenv)
	if _, err := c.Pause(t.Context(), consent.Pause{Qube: "work"}); err != nil {
		t.Fatal(err)
	}
	watched, err := c.Watch()
	if err != nil {
		t.Fatal(err)
	}
	defer watched.Close()
	select {
	case <-watched.Gone():
		t.Fatal("it counts as ended while it runs")
	case <-time.After(50 * time.Millisecond):
	}
	cmd.Process.Kill()
	cmd.Wait()
	select {
	case <-watched.Gone():
	case <-time.After(5 * time.Second):
		t.Error("a guard that is connected does not learn of it")
	}
	if c.Broken() {
		t.Error("broken before a question failed")
	}
	if a, err := c.Ask(t.Context(), question()); err == nil || a.Allowed() {
		t.Errorf("got %v, %v", a, err)
	}
	if !c.Broken() {
		t.Error("another question is thought to be possible")
	}
	again(t, getenv("XDG_RUNTIME_DIR")) // finds the old socket, and the pause
	a, err := connected(t, getenv).Ask(t.Context(), question())
	if err != nil || a.Reason != consent.Paused {
		t.Errorf("got %v, %v", a, err)
	}
}

func TestEndsWhenIdle(t *testing.T) {
	getenv, cmd := started(t, "--linger", "200ms")
	c := connected(t, getenv)
	time.Sleep(600 * time.Millisecond)
	if _, err := c.Show(t.Context()); err != nil {
		t.Fatal("it ends while a guard is connected:", err)
	}
	c.Close()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it does not end")
	}
	if _, err := consent.Connect(t.Context(), getenv); !errors.Is(err, consent.ErrNotRunning) {
		t.Error(err)
	}
}

func TestNobodyToStartIt(t *testing.T) {
	dir := t.TempDir()
	getenv := func(name string) string { return map[string]string{"XDG_RUNTIME_DIR": dir}[name] }
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := consent.Dial(ctx, getenv); err == nil || !strings.Contains(err.Error(), "no user session") {
		t.Errorf("got %v", err)
	}
}
