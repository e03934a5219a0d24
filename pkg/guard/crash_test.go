package guard

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/splitvault/splitvault/pkg/child"
	"github.com/splitvault/splitvault/pkg/confine"
	"github.com/splitvault/splitvault/pkg/confine/confinetest"
)

// crashes are ways of a guard to die, as it is confined, and what it says then.
func crashes() map[string]string {
	return map[string]string{
		"guard panic":          "panic: a secret of the vault\n",
		"guard map":            "fatal error: concurrent map ",
		"guard out of memory":  "fatal error: ",
		"runner panic":         "panic: a secret of the vault\n",
		"runner out of memory": "fatal error: ",
	}
}

// die is the process of a guard that confines itself and dies.
func die(how string) int {
	by, what, _ := strings.Cut(how, " ")
	var err error
	if by == "guard" {
		_, err = confine.Guard()
	} else {
		_, err = confine.Runner(confine.Access{Run: []string{"/usr", "/bin", "/lib", "/lib64"}, Write: []string{"/dev/null"}})
	}
	if err != nil {
		fmt.Println(err)
		return ExitBadRequest
	}
	switch what {
	case "panic":
		panic("a secret of the vault")
	case "map":
		both := map[int]int{}
		for range 8 {
			go func() {
				for i := range 1 << 30 {
					both[i%8] = i
				}
			}()
		}
		time.Sleep(time.Minute)
	case "out of memory":
		var kept [][]byte
		for range 1 << 20 {
			kept = append(kept, bytes.Repeat([]byte("x"), 1<<20))
		}
		fmt.Println(len(kept))
	}
	return ExitOK
}

// parent is a guard whose program lives on when it is killed.
func parent() {
	_, err := child.Start(exec.CommandContext(context.Background(), "/bin/sleep", "5"), syscall.SIGKILL)
	fmt.Println("begun", err)
	time.Sleep(time.Minute)
}

func left(t *testing.T, dir string, n int) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "splitvault/crash/test-guard."+strconv.Itoa(n)))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// next is a call that a person watches on a terminal, on which its log is then.
func next(t *testing.T, dir string) string {
	t.Helper()
	ours, theirs := terminal(t)
	cmd := process(t, "tell", append(ofWork(""), "XDG_RUNTIME_DIR="+dir)...)
	cmd.Stderr = theirs
	if err := cmd.Run(); err != nil {
		t.Error(err)
	}
	theirs.Close()
	said, _ := io.ReadAll(ours) // ends with EIO
	return strings.ReplaceAll(string(said), "\r\n", "\n")
}

func terminal(t *testing.T) (ours, theirs *os.File) {
	t.Helper()
	ours, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Close() })
	if err := unix.IoctlSetPointerInt(int(ours.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(ours.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if theirs, err = os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	return ours, theirs
}

// The program is as it is shipped, and confined as a guard is.
func TestACrashOfAConfinedGuardIsToldByTheNextAndNotToTheClient(t *testing.T) {
	t.Parallel()
	shipped := confinetest.Self()
	t.Cleanup(shipped.Remove)
	program := shipped.Path(t)
	for how, says := range crashes() {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			cmd := process(t, how, append(ofWork(""), "XDG_RUNTIME_DIR="+dir)...)
			cmd.Path = program
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			hangs := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
			_ = cmd.Wait() // its code is looked at
			hangs.Stop()
			if code := cmd.ProcessState.ExitCode(); code != 2 || out.Len() > 0 {
				t.Errorf("exit code %d, the client sees %q", code, out.String())
			}
			if text := left(t, dir, 0); !strings.HasPrefix(text, says) || !strings.Contains(text, "\ngoroutine ") {
				t.Errorf("it left %.200q", text)
			}
			said := next(t, dir)
			if strings.Count(said, `level=error msg="an earlier call crashed" err="20`) != 1 || !strings.Contains(said, strings.TrimSpace(says)) {
				t.Errorf("the next call says %q", said)
			}
			if said := next(t, dir); strings.Contains(said, "crashed") {
				t.Errorf("and the one after that %q", said)
			}
		})
	}
}

// begun waits until a process has begun.
func begun(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	// A child of the guard must not have it.
	cmd.Stderr = nil
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close() })
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 6)
	if _, err := io.ReadFull(out, b); err != nil || !strings.HasPrefix(string(b), "begun") {
		t.Fatalf("%q, %v", b, err)
	}
}

// Two at once have two files; one that was killed has left nothing, and its file is the
// next one's at once, also while a program that it started lives.
func TestAGuardThatIsKilledLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	env := append(ofWork(""), "XDG_RUNTIME_DIR="+dir)
	first, second := process(t, "parent", env...), process(t, "wait", env...)
	begun(t, first)
	begun(t, second)
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait() // it was killed
	third := process(t, "wait", env...)
	begun(t, third)
	entries, err := os.ReadDir(filepath.Join(dir, "splitvault/crash"))
	if err != nil || len(entries) != 2 || left(t, dir, 0)+left(t, dir, 1) != "" {
		t.Errorf("%v, %v", entries, err)
	}
	if err := third.Process.Signal(syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	_ = third.Wait() // it has crashed
	if text := left(t, dir, 0); !strings.HasPrefix(text, "SIGQUIT: quit\n") {
		t.Errorf("it left %.200q", text)
	}
}

func TestWithoutAFileForACrashTheGuardServes(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(dir string) error{
		"no runtime directory": os.Remove,
		"a file in its place":  func(dir string) error { return os.WriteFile(filepath.Join(dir, "splitvault"), nil, 0o600) },
		"others could get at it": func(dir string) error {
			if err := os.Mkdir(filepath.Join(dir, "splitvault"), 0o700); err != nil {
				return err
			}
			return os.Symlink(os.TempDir(), filepath.Join(dir, "splitvault/crash"))
		},
	} {
		dir := t.TempDir()
		if err := prepare(dir); err != nil {
			t.Fatal(err)
		}
		env := append(ofWork(""), "XDG_RUNTIME_DIR="+dir)
		if said := next(t, dir); !strings.Contains(said, `level=warning msg="no file for what a crash would say"`) {
			t.Errorf("%s: %q", name, said)
		}
		for does, want := range map[string]string{"tell": "test-guard: denied\n", "crash": ""} {
			var stderr bytes.Buffer
			cmd := process(t, does, env...)
			cmd.Stderr = &stderr
			_ = cmd.Run() // a crash is none of the client's
			if stderr.String() != want {
				t.Errorf("%s: the client sees %q", name, stderr.String())
			}
		}
	}
}
