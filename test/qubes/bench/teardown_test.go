package bench_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/splitvault/splitvault/test/qubes/bench/machine"
)

// However a qube or what holds it ends, nothing of it may stay.
func TestNothingStaysBehind(t *testing.T) {
	root := rootOf(t, "bookworm")
	before := hostState(t)
	t.Cleanup(func() { // after the subtests
		if now := hostState(t); now != before {
			t.Errorf("the host is changed:\n%s\nbefore:\n%s", now, before)
		}
	})
	type victims struct{ owner, supervisor, init int }
	for name, kill := range map[string]func(victims) error{
		"the owner's process group is killed": func(v victims) error { return syscall.Kill(-v.owner, syscall.SIGKILL) },
		"the owner is interrupted":            func(v victims) error { return syscall.Kill(v.owner, syscall.SIGINT) },
		"the supervisor is killed":            func(v victims) error { return syscall.Kill(v.supervisor, syscall.SIGKILL) },
		"the supervisor is terminated":        func(v victims) error { return syscall.Kill(v.supervisor, syscall.SIGTERM) },
		"PID 1 is killed":                     func(v victims) error { return syscall.Kill(v.init, syscall.SIGKILL) },
		"forced reboot inside":                func(v victims) error { return inside(v.init, "systemctl reboot -ff") },
		"reboot inside":                       func(v victims) error { return inside(v.init, "systemctl reboot") },
		"poweroff inside":                     func(v victims) error { return inside(v.init, "systemctl poweroff") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			state := machine.State(t.TempDir())
			owner, supervisor := startOwner(t, state, machine.Config{Name: qubeName(state), Root: root})
			init := state.PID(qubeName(state))
			if init == 0 || len(traces(state)) < 3 {
				t.Fatalf("no trace of a running qube, the check below would see nothing: %q", traces(state))
			}
			sleeper := startSleeper(t, init)
			if err := kill(victims{owner.Process.Pid, supervisor, init}); err != nil {
				t.Fatal(err)
			}
			if !within(10*time.Second, func() bool { return dead(supervisor) && dead(init) && dead(sleeper) }) {
				t.Errorf("after 10 s: supervisor ended %v, PID 1 ended %v, a process in it ended %v", dead(supervisor), dead(init), dead(sleeper))
			}
			_ = owner.Process.Kill() // where it was not the one that died
			_ = owner.Wait()
			if err := state.GC(); err != nil { // an empty cgroup may be left for it
				t.Error(err)
			}
			if left := traces(state); len(left) != 0 {
				t.Errorf("left over: %q", left)
			}
			if names, err := state.Names(); err != nil || len(names) != 0 {
				t.Errorf("gc leaves %q, %v", names, err)
			}
		})
	}
}

// startSleeper starts a process in a qube, in a session of its own, and returns
// its PID on the host.
func startSleeper(t *testing.T, init int) int {
	t.Helper()
	const line = `setsid sleep 600 </dev/null >/dev/null 2>&1 & sleep 0.1`
	if err := inside(init, line); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("pgrep", "--ns", fmt.Sprint(init), "--nslist", "pid", "-o", "-x", "sleep").Output()
	var pid int
	if _, scanErr := fmt.Sscan(string(out), &pid); err != nil || scanErr != nil {
		t.Fatalf("finding the process in the qube: %q: %v, %v", out, err, scanErr)
	}
	return pid
}

func within(limit time.Duration, reached func() bool) bool {
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if reached() {
			return true
		}
	}
	return false
}

// dead tells whether a process is gone or waits as a zombie for its parent.
func dead(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, state, _ := strings.Cut(string(stat), ") ")
	return err != nil || strings.HasPrefix(state, "Z")
}

// inside runs a line in a qube. How it ends says nothing: its qube may end first.
func inside(init int, line string) error {
	err := exec.Command("nsenter", "-t", fmt.Sprint(init), "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w", "sh", "-c", line).Run()
	if _, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil
	}
	return err
}

// startOwner boots a qube from a process, in a group of its own, that is not
// this test.
func startOwner(t *testing.T, state machine.State, config machine.Config) (owner *exec.Cmd, supervisor int) {
	t.Helper()
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	owner = exec.Command(os.Args[0], ownerVerb, string(state), string(text))
	owner.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	owner.Stderr = t.Output()
	if _, err := owner.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := owner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if _, scanErr := fmt.Sscan(line, &supervisor); err != nil || scanErr != nil {
		t.Fatalf("the owner says %q: %v, %v", line, err, scanErr)
	}
	return owner, supervisor
}
