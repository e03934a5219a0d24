package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// As long as it runs it tells the service manager so; while it is stopped it does not.
func TestWatchdogHearsFromIt(t *testing.T) {
	dir, err := os.MkdirTemp("", "consentd") // short: a socket's path is
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = []string{"CONSENTD=1", "XDG_RUNTIME_DIR=" + dir, "HOME=" + dir, "NOTIFY_SOCKET=" + path, "WATCHDOG_USEC=600000"}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	beats := func(within time.Duration) int {
		n := 0
		if err := manager.SetReadDeadline(time.Now().Add(within)); err != nil {
			t.Fatal(err)
		}
		for b := make([]byte, 100); ; {
			size, err := manager.Read(b)
			if err != nil {
				return n
			}
			if strings.Contains(string(b[:size]), "WATCHDOG=1") {
				n++
			}
		}
	}
	if n := beats(3 * time.Second); n < 3 {
		t.Errorf("it was heard %d times in three seconds, one each 0.2 s is expected", n)
	}
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	beats(200 * time.Millisecond) // what was on its way
	if n := beats(time.Second); n != 0 {
		t.Errorf("it was heard %d times while it was stopped", n)
	}
}
