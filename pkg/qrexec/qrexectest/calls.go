package qrexectest

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Calls is what happened on the calls to one target.
type Calls struct {
	// Target is the name to call.
	Target string
	path   string
}

// Record makes a target of its own for a test.
func Record(tb testing.TB) *Calls {
	tb.Helper()
	f, err := os.CreateTemp(os.Getenv(dirVariable), "t")
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	return &Calls{Target: filepath.Base(f.Name()), path: f.Name()}
}

// Notes returns the texts of all notes of a kind: "call" (the process id of the
// client program), "service" (what was called), "got" (a request, in hexadecimal), "eof" (the end of input),
// "deaf" (signals are ignored from now on), "child" (the process left behind).
func (c *Calls) Notes(tb testing.TB, kind string) []string {
	tb.Helper()
	all, err := os.ReadFile(c.path)
	if err != nil {
		tb.Fatal(err)
	}
	var texts []string
	for line := range strings.Lines(string(all)) {
		if what, text, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " "); what == kind {
			texts = append(texts, text)
		}
	}
	return texts
}

// Count is the number of calls that were placed.
func (c *Calls) Count(tb testing.TB) int {
	tb.Helper()
	return len(c.Notes(tb, "call"))
}

// Await waits until there are n notes of a kind.
func (c *Calls) Await(tb testing.TB, kind string, n int) {
	tb.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if len(c.Notes(tb, kind)) >= n {
			return
		}
	}
	tb.Fatalf("never saw %d times %q", n, kind)
}

// Gone fails the test unless every client program has ended, and has been
// reaped, within that time.
func (c *Calls) Gone(tb testing.TB, within time.Duration) {
	tb.Helper()
	deadline := time.Now().Add(within)
	for _, pid := range c.pids(tb, "call") {
		for !ended(pid) {
			if time.Now().After(deadline) {
				tb.Errorf("client program %d is still there after %v", pid, within)
				break
			}
			time.Sleep(2 * time.Millisecond)
		}
	}
}

// KillChildren ends what [Orphan] left behind.
func (c *Calls) KillChildren(tb testing.TB) {
	tb.Helper()
	for _, pid := range c.pids(tb, "child") {
		if err := unix.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
			tb.Error(err)
		}
	}
}

func (c *Calls) pids(tb testing.TB, kind string) []int {
	tb.Helper()
	var pids []int
	for _, text := range c.Notes(tb, kind) {
		pid, err := strconv.Atoi(text)
		if err != nil {
			tb.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids
}

// ended tells whether a process is gone; one that nobody has waited for is not.
func ended(pid int) bool { return errors.Is(unix.Kill(pid, 0), unix.ESRCH) }
