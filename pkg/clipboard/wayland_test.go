package clipboard

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// compositor starts a real one without a screen, and returns an environment that
// names it.
func compositor(t *testing.T) func(string) string {
	t.Helper()
	need(t, "sway", "wl-paste")
	dir, err := os.MkdirTemp("", "way") // short: a socket's path is
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	config := filepath.Join(dir, "config")
	if err := os.WriteFile(config, []byte("xwayland disable\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sway", "-c", config)
	cmd.Env = []string{
		"PATH=/usr/bin:/bin", "HOME=" + dir, "XDG_RUNTIME_DIR=" + dir,
		"WLR_BACKENDS=headless", "WLR_LIBINPUT_NO_DEVICES=1", "WLR_RENDERER=pixman",
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() == 0 { // sway does not run as root
		const nobody = 65534
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
		for _, path := range []string{dir, config} {
			if err := os.Chown(path, nobody, nobody); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	const name = "wayland-1"
	for deadline := time.Now().Add(long); ; time.Sleep(10 * time.Millisecond) {
		if conn, err := net.Dial("unix", filepath.Join(dir, name)); err == nil {
			conn.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("sway does not start")
		}
	}
	env := map[string]string{"WAYLAND_DISPLAY": name, "XDG_RUNTIME_DIR": dir, "DISPLAY": ":4711"}
	return func(name string) string { return env[name] }
}

// wayland runs a program of wl-clipboard.
func wayland(getenv func(string) string, stdin, program string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), long)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = []string{"PATH=/usr/bin:/bin", "WAYLAND_DISPLAY=" + getenv("WAYLAND_DISPLAY"), "XDG_RUNTIME_DIR=" + getenv("XDG_RUNTIME_DIR")}
	if stdin != "" {
		// It stays in the background, with its output open.
		cmd.Stdin = strings.NewReader(stdin)
		return "", cmd.Run()
	}
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		err = fmt.Errorf("%w: %s", err, exit.Stderr)
	}
	return string(out), err
}

func TestWaylandEveryPasteGetsTheText(t *testing.T) {
	t.Parallel()
	getenv := compositor(t)
	for _, selection := range []string{Clipboard, Primary} {
		args := []string{"--no-newline"}
		if selection == Primary {
			args = append(args, "--primary")
		}
		ended, stop := own(t, getenv, Offer{Text: []byte(password), Selection: selection, For: time.Minute})
		for range 3 {
			if got, err := wayland(getenv, "", "wl-paste", args...); got != password || err != nil {
				t.Errorf("%s: got %q, %v", selection, got, err)
			}
		}
		types, err := wayland(getenv, "", "wl-paste", append(args, "--list-types")...)
		if err != nil || !strings.Contains(types, hintTarget) || !strings.Contains(types, "text/plain;charset=utf-8") {
			t.Errorf("%s: offered as %q, %v", selection, types, err)
		}
		if got, err := wayland(getenv, "", "wl-paste", append(args, "--type", hintTarget)...); got != "secret" || err != nil {
			t.Errorf("%s: the hint is %q, %v", selection, got, err)
		}
		stop()
		await(t, ended, "")
		if got, err := wayland(getenv, "", "wl-paste", args...); err == nil {
			t.Errorf("%s: after the end there is %q", selection, got)
		}
	}
}

func TestWaylandOnePasteEndsAnOfferForOne(t *testing.T) {
	t.Parallel()
	getenv := compositor(t)
	ended, _ := own(t, getenv, Offer{Text: []byte(password), Selection: Clipboard, For: time.Minute, Once: true})
	if got, err := wayland(getenv, "", "wl-paste", "--type", hintTarget); got == password || err != nil {
		t.Errorf("the hint is %q, %v", got, err)
	}
	if got, err := wayland(getenv, "", "wl-paste", "--no-newline"); got != password || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	await(t, ended, Pasted)
	if got, err := wayland(getenv, "", "wl-paste"); err == nil {
		t.Errorf("a second paste got %q", got)
	}
}

func TestWaylandWhatSomebodyElseCopiedStays(t *testing.T) {
	t.Parallel()
	getenv := compositor(t)
	ended, _ := own(t, getenv, Offer{Text: []byte(password), Selection: Clipboard, For: time.Minute})
	if _, err := wayland(getenv, "theirs", "wl-copy", "--type", "text/plain"); err != nil {
		t.Fatal(err)
	}
	await(t, ended, Replaced)
	if got, err := wayland(getenv, "", "wl-paste", "--no-newline"); got != "theirs" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	ended, _ = own(t, getenv, Offer{Text: []byte(password), Selection: Clipboard, For: 50 * time.Millisecond})
	await(t, ended, TimeUp)
}
