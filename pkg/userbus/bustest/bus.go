// Package bustest runs a real D-Bus for tests, with a small notification server
// on it.
package bustest

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// Start starts a session bus of its own at DIR/bus, where systemd has the
// user's, and returns DIR and the bus's address. It skips the test where
// dbus-daemon is not installed, and fails it in CI.
func Start(tb testing.TB) (dir, address string) {
	tb.Helper()
	daemon, err := exec.LookPath("dbus-daemon")
	if err != nil {
		if os.Getenv("CI") != "" {
			tb.Fatal("dbus-daemon is not installed; install dbus")
		}
		tb.Skip("dbus-daemon is not installed")
	}
	dir, err = os.MkdirTemp("", "bus") // tb.TempDir can be too long for a socket
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { os.RemoveAll(dir) })
	cmd := exec.Command(daemon, "--session", "--nofork", "--nopidfile", "--print-address", "--address=unix:path="+filepath.Join(dir, "bus"))
	// No service of this machine must be started on it.
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "XDG_DATA_HOME=" + dir, "XDG_DATA_DIRS=" + dir, "XDG_RUNTIME_DIR=" + dir}
	// A test that is killed for taking too long leaves no daemon behind.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		tb.Fatalf("dbus-daemon did not start: %v", err)
	}
	return dir, line[:len(line)-1]
}

// Notification is what a program asked to be shown.
type Notification struct {
	App, Icon, Summary, Body string
	Actions                  []string
}

// Notifications is a notification server.
type Notifications struct {
	mu    sync.Mutex
	shown []Notification
	delay time.Duration
}

// Serve owns org.freedesktop.Notifications on the bus at that address; it
// answers after delay.
func Serve(tb testing.TB, address string, delay time.Duration) *Notifications {
	tb.Helper()
	conn, err := dbus.Connect(address)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { conn.Close() })
	server := &Notifications{delay: delay}
	if err := conn.Export(server, "/org/freedesktop/Notifications", "org.freedesktop.Notifications"); err != nil {
		tb.Fatal(err)
	}
	if reply, err := conn.RequestName("org.freedesktop.Notifications", dbus.NameFlagDoNotQueue); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		tb.Fatalf("owning the name: %v, %v", reply, err)
	}
	return server
}

// Notify is the D-Bus method (Desktop Notifications Specification, "Notify").
func (n *Notifications) Notify(app string, _ uint32, icon, summary, body string, actions []string, _ map[string]dbus.Variant, _ int32) (uint32, *dbus.Error) {
	time.Sleep(n.delay)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.shown = append(n.shown, Notification{App: app, Icon: icon, Summary: summary, Body: body, Actions: actions})
	return uint32(len(n.shown)), nil
}

// Shown returns what was asked for so far.
func (n *Notifications) Shown() []Notification {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]Notification(nil), n.shown...)
}
