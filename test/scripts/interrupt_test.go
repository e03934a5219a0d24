package scripts

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/splitvault/splitvault/test/rails/orphans"
)

// Each line of the demo's story at which it is ended.
var moments = []string{"splitvault demo", "1. ", "2. ", "[work] $ ssh -F", "3. ", "4. ", "5. ", "[vault]"}

func TestAnInterruptedDemoLeavesNoProcessAndNoFile(t *testing.T) {
	type ending struct {
		sig    syscall.Signal
		moment string
	}
	endings := []ending{{syscall.SIGTERM, "2. "}, {syscall.SIGHUP, "2. "}}
	for _, moment := range moments {
		endings = append(endings, ending{syscall.SIGINT, moment})
	}
	demo := demoProgram(t)
	for _, e := range endings {
		t.Run(fmt.Sprintf("%v at %q", e.sig, e.moment), func(t *testing.T) {
			tmp, code := endDemo(t, demo, e.moment, e.sig)
			if code != 130 {
				t.Errorf("exit %d, want 130", code)
			}
			if left := orphans.Descendants(); len(left) != 0 {
				t.Errorf("left processes %v behind", left)
			}
			if left, err := os.ReadDir(tmp); err != nil || len(left) != 0 {
				t.Errorf("left files %v behind (%v)", left, err)
			}
		})
	}
}

func TestAKilledDemoLeavesNoProcess(t *testing.T) {
	demo := demoProgram(t)
	for _, moment := range moments {
		endDemo(t, demo, moment, syscall.SIGKILL)
		until := time.Now().Add(5 * time.Second)
		for left := orphans.Descendants(); len(left) != 0; left = orphans.Descendants() {
			if time.Now().After(until) {
				t.Fatalf("killed at %q: processes %v still run", moment, left)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// endDemo runs the demo in a new temporary directory, sends it sig once its
// output shows the given line, and returns the directory and the exit code.
func endDemo(t *testing.T, demo, moment string, sig syscall.Signal) (tmp string, code int) {
	t.Helper()
	if err := orphans.Adopt(); err != nil {
		t.Fatal(err)
	}
	tmp = shortTempDir(t)
	cmd := exec.Command(demo, "-build", "../../build")
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	sent := false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if !sent && strings.HasPrefix(lines.Text(), moment) {
			sent = true
			if err := cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
		}
	}
	err = cmd.Wait()
	if !sent {
		t.Errorf("the demo never printed %q: %s", moment, &said)
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return tmp, exit.ExitCode()
	}
	if err != nil {
		t.Fatal(err)
	}
	return tmp, 0
}
