package prompt_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/splitvault/splitvault/pkg/consent"
	"github.com/splitvault/splitvault/pkg/prompt"
)

// compositor is a real wlroots compositor in a window, and a person at it: the
// keyboard is that of the X display which the window is on.
type compositor struct {
	t     *testing.T
	dir   string // XDG_RUNTIME_DIR
	name  string // WAYLAND_DISPLAY
	outer *screen
}

func newCompositor(t *testing.T) *compositor {
	t.Helper()
	need(t, "sway")
	outer := newScreen(t)
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
		"DISPLAY=" + outer.display, "WLR_BACKENDS=x11", "WLR_RENDERER=pixman", "SWAYSOCK=" + filepath.Join(dir, "sway"),
	}
	if os.Geteuid() == 0 { // sway does not run as root
		const nobody = 65534
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		for _, path := range []string{dir, config} {
			if err := os.Chown(path, nobody, nobody); err != nil {
				t.Fatal(err)
			}
		}
	}
	start(t, cmd)
	c := &compositor{t: t, dir: dir, name: "wayland-1", outer: outer}
	until(t, "the compositor does not start", func() bool {
		_, err := os.Stat(filepath.Join(dir, c.name))
		return err == nil && strings.Contains(c.message("get_version"), "major")
	})
	outer.xdotool("mousemove", "500", "400", "click", "1") // gives the window the keyboard
	return c
}

func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !done(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

func (c *compositor) run(name string, args ...string) string {
	cmd := exec.Command(name, args...)
	cmd.Env = []string{
		"PATH=/usr/bin:/bin", "HOME=" + c.dir, "XDG_RUNTIME_DIR=" + c.dir, "WAYLAND_DISPLAY=" + c.name, "SWAYSOCK=" + filepath.Join(c.dir, "sway"),
	}
	out, _ := cmd.CombinedOutput() // not up yet: an error
	return string(out)
}

func (c *compositor) message(what string) string { return c.run("swaymsg", "-t", what) }

func (c *compositor) shows() bool {
	return strings.Contains(c.message("get_tree"), "splitvault: work asks")
}

// keys are pressed as a person would, who has read the window first.
func (c *compositor) keys(keys ...string) {
	c.t.Helper()
	until(c.t, "no window appears", c.shows)
	time.Sleep(time.Second)
	c.outer.xdotool(append([]string{"key", "--delay", "80"}, keys...)...)
}

// Under Wayland, without any X, zenity asks the same question in the same way.
func TestZenityUnderWayland(t *testing.T) {
	t.Parallel()
	need(t, "zenity")
	c := newCompositor(t)
	env := prompt.Environment{Screen: consent.Screen{Wayland: c.name}, Home: t.TempDir(), Runtime: c.dir}
	if usable, err := prompt.Usable(env.Screen, c.dir); err != nil || usable != env.Screen {
		t.Fatalf("usable %v, %v", usable, err)
	}
	ask := func(ctx context.Context) <-chan result {
		done := make(chan result, 1)
		go func() {
			a, err := prompt.First(prompt.Zenity{}, prompt.Pinentry{}).Ask(ctx, env, login(5*time.Minute))
			done <- result{a, err}
		}()
		return done
	}
	for _, row := range []struct {
		name string
		keys []string
		want prompt.Choice
	}{
		{"Return denies", []string{"Return"}, prompt.Deny},
		{"Escape closes", []string{"Escape"}, prompt.Close},
		{"second button", []string{"Tab", "Return"}, prompt.Once},
		{"third button", []string{"Tab", "Tab", "space"}, prompt.Lasting},
	} {
		t.Run(row.name, func(t *testing.T) {
			c.t = t
			done := ask(t.Context())
			c.keys(row.keys...)
			if got := wait(t, done); got.answer.Choice != row.want || got.err != nil {
				t.Errorf("got %d, %v, want %d", got.answer.Choice, got.err, row.want)
			}
		})
	}
	t.Run("withdrawn", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		done := ask(ctx)
		until(t, "no window appears", c.shows)
		cancel()
		if r := wait(t, done); r.answer.Choice != prompt.None || !errors.Is(r.err, context.Canceled) {
			t.Error(r)
		}
		until(t, "the window stays", func() bool { return !c.shows() })
	})
}
