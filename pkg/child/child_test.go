package child_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/splitvault/splitvault/pkg/child"
	"github.com/splitvault/splitvault/pkg/confine"
	"github.com/splitvault/splitvault/pkg/confine/confinetest"
)

// A confined process's program that hangs is ended at its deadline, whichever thread
// notices. (This test's own process must not be confined: it runs itself again.)
func TestAConfinedProcessEndsItsProgramsInTime(t *testing.T) {
	t.Parallel()
	if os.Getenv("CHILD_TEST_CONFINED") == "" {
		shipped := confinetest.Self()
		t.Cleanup(shipped.Remove)
		cmd := exec.Command(shipped.Path(t), "-test.run=^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), "CHILD_TEST_CONFINED=1")
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "20 ended") {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	if _, err := confine.Runner(confine.Access{Run: []string{"/usr", "/bin", "/lib", "/lib64"}, Write: []string{"/dev/null"}}); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		start := time.Now()
		cmd := exec.CommandContext(ctx, "/bin/sleep", "20")
		signal := syscall.SIGKILL
		if i%4 == 0 { // which it does not hear
			cmd = exec.CommandContext(ctx, "/bin/sh", "-c", "trap '' TERM; sleep 20 >/dev/null & wait; wait")
			cmd.WaitDelay, signal = 50*time.Millisecond, syscall.SIGTERM
		}
		err := child.Run(cmd, signal)
		cancel()
		if took := time.Since(start); err == nil || took > 5*time.Second {
			t.Fatalf("number %d: %v after %v", i, err, took)
		}
	}
	fmt.Println("20 ended")
}

func TestWhatEndsByItselfIsNotKilled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if err := child.Run(exec.CommandContext(ctx, "/bin/true"), syscall.SIGKILL); err != nil {
		t.Error(err)
	}
	if err := child.Run(exec.CommandContext(ctx, "/nonexistent"), syscall.SIGKILL); err == nil {
		t.Error("a program that is not there has run")
	}
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", "exit 7")
	if err := child.Run(cmd, syscall.SIGKILL); err == nil || cmd.ProcessState.ExitCode() != 7 {
		t.Errorf("%v, %v", err, cmd.ProcessState)
	}
}
