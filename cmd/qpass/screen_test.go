package main

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/splitvault/splitvault/test/stub"
)

// screen starts a real X server and puts it into the world's environment.
func (w *world) screen(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range append(programs, "Xvfb", "xclip") {
		if _, err := exec.LookPath(p); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
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
	w.env = append(w.env, "DISPLAY=:"+strings.TrimSpace(number))
}

// paste is what a paste gets, and whether there was anything.
func (w *world) paste(t *testing.T, selection string) (string, bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), long)
	defer cancel()
	cmd := exec.CommandContext(ctx, "xclip", "-o", "-selection", selection)
	cmd.Env = w.env
	out, err := cmd.Output()
	return string(out), err == nil
}

func (w *world) empty(t *testing.T, selection string) {
	t.Helper()
	for deadline := time.Now().Add(long); ; time.Sleep(5 * time.Millisecond) {
		got, there := w.paste(t, selection)
		if !there {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%q is still on the clipboard", got)
		}
	}
}

const bob = "pä\\$$w0rd!\"'{}~密"

func TestClip(t *testing.T) {
	t.Parallel()
	w := direct(t, entries())
	w.screen(t)
	w.want("", result{stdout: "Copied work/example.com/bob to clipboard. Will clear after one paste, or in 45 seconds.\n"}, "qpass", "clip", "--once", "work/example.com/bob")
	if got, _ := w.paste(t, "clipboard"); got != bob {
		t.Errorf("pasted %q", got)
	}
	w.empty(t, "clipboard")
	// The environment that pass has.
	w.env = append(w.env, "PASSWORD_STORE_CLIP_TIME=1", "PASSWORD_STORE_X_SELECTION=primary")
	w.want("", result{stdout: "Copied github.com to clipboard. Will clear in 1 seconds.\n"}, "qpass", "clip", "github.com", "login")
	if got, _ := w.paste(t, "primary"); got != "alice" {
		t.Errorf("pasted %q", got)
	}
	w.empty(t, "primary")
	// The password that an echo takes for an option.
	w.want("", result{stdout: "Copied odd/-dash to clipboard. Will clear in 600 seconds.\n"}, "qpass", "clip", "--seconds", "600", "odd/-dash")
	if got, _ := w.paste(t, "primary"); got != "-n" {
		t.Errorf("pasted %q", got)
	}
	w.want("", result{code: 10, stderr: "no such entry"}, "qpass", "clip", "nothing")
	if got, _ := w.paste(t, "primary"); got != "-n" {
		t.Errorf("after a failure there is %q", got)
	}
	cmd := exec.Command("xclip", "-i", "-selection", "primary") // the owner of the long offer ends
	cmd.Env, cmd.Stdin = w.env, strings.NewReader("theirs")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if got, _ := w.paste(t, "primary"); got != "theirs" {
		t.Errorf("pasted %q", got)
	}
	for _, wrong := range []string{"PASSWORD_STORE_CLIP_TIME=soon", "PASSWORD_STORE_CLIP_TIME=0", "PASSWORD_STORE_X_SELECTION=buffer"} {
		w.env = append(w.env, wrong)
		if got := w.run("", "qpass", "clip", "github.com"); got.code != 1 || got.stdout != "" || got.stderr == "" {
			t.Errorf("%s: %+v", wrong, got)
		}
	}
}

func TestClipWithoutAScreen(t *testing.T) {
	t.Parallel()
	w := direct(t, entries())
	w.want("", result{code: 1, stderr: "no screen"}, "qpass", "clip", "github.com")
	w.want("", result{code: 1, stderr: "no screen"}, "qpass", "type", "github.com")
	w.want("", result{code: 1, stderr: "no menu program"}, "qpassmenu")
}

// Looked for in every argument and environment of the machine, while a process owns
// the selection; the look itself is tried on a process that has it there.
func TestTheSecretIsInNoArgumentAndNoEnvironment(t *testing.T) {
	t.Parallel()
	marker := "marker-" + strconv.FormatInt(time.Now().UnixNano(), 36)
	w := direct(t, map[string]string{"x": marker + "\n"})
	w.screen(t)
	if got := w.run("", "qpass", "clip", "x"); got.code != 0 {
		t.Fatalf("got %+v", got)
	}
	if got, _ := w.paste(t, "clipboard"); got != marker {
		t.Fatalf("pasted %q", got)
	}
	if found := visible(t, marker); len(found) != 0 {
		t.Errorf("the secret is in %q", found)
	}
	control := exec.Command("sleep", "60")
	control.Args, control.Env = []string{"sleep", "60"}, []string{"X=" + marker}
	if err := control.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = control.Process.Kill()
		_ = control.Wait()
	}()
	if found := visible(t, marker); len(found) != 1 {
		t.Errorf("the look finds %q, want the control's environment", found)
	}
	cmd := exec.Command("xclip", "-i", "-selection", "clipboard")
	cmd.Env, cmd.Stdin = w.env, strings.NewReader("theirs")
	if err := cmd.Run(); err != nil { // which ends the owner
		t.Error(err)
	}
}

// visible returns the files of /proc that show a text, as far as this user may look.
func visible(t *testing.T, text string) []string {
	t.Helper()
	var found []string
	for _, pattern := range []string{"/proc/[0-9]*/cmdline", "/proc/[0-9]*/environ"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			if content, err := os.ReadFile(path); err == nil && strings.Contains(string(content), text) {
				found = append(found, path)
			}
		}
	}
	return found
}

// menuScript is a stand-in for a menu; the real ones are in the bench.
func menuScript(t *testing.T, w *world, script string) {
	t.Helper()
	dir := t.TempDir()
	stub.Script(t, filepath.Join(dir, "dmenu"), script)
	w.env = append(w.env, "PATH="+dir+":"+os.Getenv("PATH"))
}

func TestMenuCopiesWhatWasChosen(t *testing.T) {
	t.Parallel()
	w := direct(t, entries())
	w.screen(t)
	menuScript(t, w, `grep -x 'github.com\|login'`)
	w.want("", result{stdout: "Copied github.com to clipboard. Will clear after one paste, or in 45 seconds.\n"}, "qpassmenu", "--menu", "dmenu", "--once")
	if got, _ := w.paste(t, "clipboard"); got != "hunter2" {
		t.Errorf("pasted %q", got)
	}
	w.empty(t, "clipboard")
	w.want("", result{stdout: "Copied github.com to clipboard. Will clear after one paste, or in 45 seconds.\n"}, "qpassmenu", "--menu", "dmenu", "--once", "--choose")
	if got, _ := w.paste(t, "clipboard"); got != "alice" {
		t.Errorf("pasted %q", got)
	}
}

// Cancelled, killed, silent, or something that was not in the menu: nothing happens.
func TestAttackAMenuThatIsNotChosenFrom(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"cancelled":                     "exit 1",
		"cancelled after some output":   "echo github.com; exit 1",
		"killed":                        "kill -9 $$",
		"an empty line":                 "echo",
		"no line at all":                "exit 0",
		"a text of one's own":           "echo work",
		"two lines":                     "echo github.com; echo github.com",
		"half a line":                   "printf github.co",
		"an option of pass":             "echo -c",
		"a line without its line feed":  "printf github.com",
		"an entry that was not offered": `printf 'odd/esc\033]0;PWNED\007\n'`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := direct(t, entries())
			w.screen(t)
			menuScript(t, w, script)
			got := w.run("", "qpassmenu", "--menu", "dmenu")
			if got.code == 0 || got.stdout != "" {
				t.Errorf("got %+v", got)
			}
			if calls := w.vault.Calls(t); len(calls) != 1 || calls[0] != "pass.ListPasswords" {
				t.Errorf("called %q", calls)
			}
			if text, there := w.paste(t, "clipboard"); there {
				t.Errorf("on the clipboard is %q", text)
			}
		})
	}
}
