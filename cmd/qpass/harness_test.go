package main

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/splitvault/splitvault/pkg/hangup"
	"github.com/splitvault/splitvault/pkg/passcall"
	"github.com/splitvault/splitvault/pkg/passcall/passtest"
	"github.com/splitvault/splitvault/pkg/passproto"
	"github.com/splitvault/splitvault/pkg/passrelay"
	"github.com/splitvault/splitvault/pkg/qrexec"
)

// long bounds what must happen at once, on a busy machine under the race detector.
const long = 20 * time.Second

// The test binary is qpass under all its names as well, and the qrexec client.
func TestMain(m *testing.M) {
	if os.Getenv("QPASS_TEST") != "" && !passtest.IsClient() {
		os.Exit(run(os.Args))
	}
	passtest.Main(m)
}

// world is a vault, and how qpass is run to reach it.
type world struct {
	t     *testing.T
	vault *passtest.Vault
	env   []string
}

func entries() map[string]string {
	return map[string]string{
		"github.com":              "hunter2\nlogin: alice\nurl: https://github.com\n",
		"work/example.com/bob":    "pä\\$$w0rd!\"'{}~密\nlogin: bob\nurl: example.com\notpauth://totp/x?secret=JBSWY3DPEHPK3PXP\n",
		"spaces/a  b c":           "x\n",
		"odd/-dash":               "-n\n",
		"odd/<b>bold</b>&amp":     "x\n",
		"odd/$(id)`id`":           "x\n",
		"unicode/münchen 東京":      "x\n",
		"binary":                  "a\x00b\xff\n",
		"esc":                     "a\x1b]0;PWNED\x07b\nc\n",
		"odd/esc\x1b]0;PWNED\x07": "x\n",
	}
}

// direct is a world in which qpass places calls itself.
func direct(t *testing.T, entries map[string]string) *world {
	t.Helper()
	w := &world{t: t, vault: passtest.New(t, entries)}
	w.env = append(w.vault.Env(t), "QPASS_TEST=1", "XDG_RUNTIME_DIR="+t.TempDir(), "HOME="+t.TempDir(),
		"PATH="+os.Getenv("PATH"), "LC_ALL=C.UTF-8", "DBUS_SESSION_BUS_ADDRESS=unix:path=/nonexistent", "GORACE=atexit_sleep_ms=0")
	t.Cleanup(func() { w.vault.KillChildren(t) })
	return w
}

// socket is a world in which qpass asks a relay, which this process is.
func socket(t *testing.T, entries map[string]string) *world {
	t.Helper()
	w := direct(t, entries)
	dir, err := os.MkdirTemp("", "qpass")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "S.pass")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	w.env = append(w.env, "SPLITVAULT_PASS_SOCKET="+path, "SPLITVAULT_QREXEC_CLIENT=/nonexistent")
	caller := &passcall.Caller{Client: passtest.Program(t), Target: qrexec.Target(w.vault.Target)}
	var relays sync.WaitGroup
	relays.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			relays.Go(func() { relay(t, conn, caller) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		relays.Wait()
		os.RemoveAll(dir)
	})
	return w
}

func relay(t *testing.T, conn net.Conn, caller *passcall.Caller) {
	watcher, err := hangup.Watch(conn.(*net.UnixConn))
	if err != nil {
		t.Error(err)
		return
	}
	defer watcher.Close()
	r := &passrelay.Relay{Client: conn, Gone: watcher.Gone(), Do: caller.Do, Failed: func(passproto.Request, error) {}}
	_ = r.Serve(context.Background())
}

// both runs a test in either world.
func both(t *testing.T, entries func() map[string]string, test func(t *testing.T, w *world)) {
	t.Helper()
	for name, make := range map[string]func(*testing.T, map[string]string) *world{"direct": direct, "socket": socket} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, make(t, entries()))
		})
	}
}

// command is a program by the name in args[0].
func (w *world) command(args ...string) *exec.Cmd {
	cmd := exec.Command(passtest.Program(w.t))
	cmd.Args = args
	cmd.Env = w.env
	return cmd
}

// result is what a command did.
type result struct {
	stdout, stderr string
	code           int
}

// run runs a program with that input.
func (w *world) run(stdin string, args ...string) result {
	w.t.Helper()
	cmd := w.command(args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	timer := time.AfterFunc(long, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		w.t.Fatal(exit, err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

func (w *world) want(stdin string, want result, args ...string) {
	w.t.Helper()
	got := w.run(stdin, args...)
	if got.stdout != want.stdout || got.code != want.code || !strings.Contains(got.stderr, want.stderr) || want.stderr == "" && got.stderr != "" {
		w.t.Errorf("%q: got %+v, want %+v", args, got, want)
	}
}
