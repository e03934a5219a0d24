package bench_test

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/splitvault/splitvault/test/qubes/bench"
	"github.com/splitvault/splitvault/test/qubes/bench/machine"
)

// What every test and scenario checks at its end must be able to fail.
func TestSettledTellsWhatIsLeft(t *testing.T) {
	b := bench.New(t, "bookworm")
	b.Policy("test.Echo * work @anyvm allow target=vault")
	b.Boot("vault")
	work := b.Boot("work")
	if err := b.Settled(t.Context()); err != nil {
		t.Fatalf("nothing ran yet: %v", err)
	}
	const unit = "[Service]\nExecStart=/bin/sleep 600\n"
	if err := work.Put(t.Context(), ".config/systemd/user/splitvault-left@.service", []byte(unit)); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ name, start, end, says string }{
		{"a service that failed", "systemd-run --user --quiet --unit=broken --wait false; true", "systemctl --user reset-failed", "broken.service"},
		{"a connection's service", "systemctl --user daemon-reload; systemctl --user start splitvault-left@1", "systemctl --user stop splitvault-left@1", "splitvault-left@1.service"},
		{"a call", "systemd-run --user --quiet --unit=caller sh -c 'sleep 600 | qrexec-client-vm vault test.Echo'", "systemctl --user stop caller", "test.Echo: work -> vault"},
	} {
		if out, err := work.User(t.Context(), row.start); err != nil {
			t.Fatalf("%s: %q, %v", row.name, out, err)
		}
		if !within(5*time.Second, func() bool {
			err := b.Settled(t.Context())
			return err != nil && strings.Contains(err.Error(), row.says)
		}) {
			t.Errorf("%s is left and not reported: %v", row.name, b.Settled(t.Context()))
		}
		if out, err := work.User(t.Context(), row.end); err != nil {
			t.Fatalf("%s: %q, %v", row.name, out, err)
		}
		if err := b.Settled(t.Context()); err != nil {
			t.Fatalf("%s is gone and still reported: %v", row.name, err)
		}
	}
}

// A qube that dies in the middle of a call takes the call with it.
func TestKilledQubeEndsItsCalls(t *testing.T) {
	b := bench.New(t, "bookworm")
	b.Policy("test.Echo * work @anyvm allow target=vault")
	vault, work := b.Boot("vault"), b.Boot("work")
	call := work.Command(t.Context(), machine.AsUser, "qrexec-client-vm", "vault", "test.Echo")
	stdin, err := call.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := call.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := call.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := stdin.Write([]byte("there?\n")); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "there?\n" {
		t.Fatalf("echo says %q, %v", line, err)
	}
	if err := vault.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := call.Wait(); err == nil || call.ProcessState.ExitCode() != 255 {
		t.Errorf("the client's exit code is %d (%v), want 255", call.ProcessState.ExitCode(), err)
	}
}

// A paused qube does nothing, and goes on where it was; one that is killed then leaves
// nothing, either.
func TestAPausedQubeStandsStill(t *testing.T) {
	b := bench.New(t, "bookworm")
	vault := b.Boot("vault")
	ticks := func() string {
		text, _ := os.ReadFile(filepath.Join(vault.Home(), "ticks"))
		return string(text)
	}
	if _, err := vault.User(t.Context(), "systemd-run --user --quiet sh -c 'while sleep 0.01; do printf x >>ticks; done'"); err != nil {
		t.Fatal(err)
	}
	if !within(5*time.Second, func() bool { return ticks() != "" }) {
		t.Fatal("nothing runs")
	}
	for range 2 {
		if err := vault.Pause(); err != nil {
			t.Fatal(err)
		}
		before := ticks()
		time.Sleep(200 * time.Millisecond)
		if ticks() != before {
			t.Error("it runs while it is paused")
		}
		if err := vault.Unpause(); err != nil {
			t.Fatal(err)
		}
		if !within(5*time.Second, func() bool { return ticks() != before }) {
			t.Error("it does not go on")
		}
	}
	if err := vault.Pause(); err != nil {
		t.Fatal(err)
	}
	if err := vault.Kill(); err != nil {
		t.Error(err)
	}
}

// Put must not follow a link that the qube's user has laid out on to the host.
func TestPutStaysInTheQube(t *testing.T) {
	b := bench.New(t, "bookworm")
	work := b.Boot("work")
	victim := filepath.Join(t.TempDir(), "victim")
	if _, err := work.User(t.Context(), "ln", "-s", filepath.Dir(victim), "link"); err != nil {
		t.Fatal(err)
	}
	if err := work.Put(t.Context(), "link/victim", []byte("x")); err == nil {
		t.Error("there is no such directory in the qube, and Put wrote somewhere")
	}
	if _, err := os.Lstat(victim); err == nil {
		t.Error("a link in the qube's home leads to the host's files")
	}
}

// A test process that is killed leaves files; the next run removes them.
func TestSweepRemovesWhatAKilledRunLeft(t *testing.T) {
	bench.Require(t)
	victim := exec.Command(os.Args[0], victimVerb)
	victim.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	victim.Stderr = t.Output()
	if _, err := victim.StdinPipe(); err != nil { // its end would end the victim
		t.Fatal(err)
	}
	stdout, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = victim.Process.Kill() }()
	line, err := bufio.NewReader(stdout).ReadString('\n')
	state := machine.State(strings.TrimSpace(line))
	if err != nil || len(traces(state)) < 4 { // dom0, supervisor, PID 1, cgroup
		t.Fatalf("the run to kill did not start: %q, %v, traces %q", line, err, traces(state))
	}
	if err := syscall.Kill(-victim.Process.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = victim.Wait()
	if !within(10*time.Second, func() bool { return len(processes(state)) == 0 }) {
		t.Errorf("processes left over: %q", processes(state))
	}
	if err := bench.Sweep(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Dir(string(state))); err == nil {
		t.Errorf("files left over in %q", filepath.Dir(string(state)))
	}
	if left := traces(state); len(left) != 0 {
		t.Errorf("left over: %q", left)
	}
}

// Whatever starts the tests may have left a descriptor of the host open in them.
func TestAQubeGetsNoDescriptorOfTheHosts(t *testing.T) {
	leak, err := os.Open(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	defer leak.Close()
	b := bench.New(t, "trixie")
	work := b.Boot("work")
	for _, way := range []machine.Way{machine.AsUser, machine.AsRoot, machine.AsLogin} {
		cmd := work.Command(t.Context(), way, "readlink /proc/self/fd/*")
		cmd.ExtraFiles = []*os.File{leak}
		out, _ := cmd.Output() // the descriptor of the pattern's own directory is gone
		if !strings.Contains(string(out), "/dev/null\n") || strings.Contains(string(out), "bench.test") {
			t.Errorf("%s: open are %q", way, out)
		}
	}
}

// Two processes at a time: the second must not sweep the first away.
func TestSweepSparesWhatLives(t *testing.T) {
	b := bench.New(t, "bookworm")
	work := b.Boot("work")
	if err := bench.Sweep(); err != nil {
		t.Fatal(err)
	}
	if out, err := work.User(context.Background(), "echo alive"); err != nil || out != "alive\n" {
		t.Errorf("after a sweep: %q, %v", out, err)
	}
}

// Where no qube can be booted a test is skipped with the reason; in CI it fails.
func TestRequireSkipsHereAndFailsInCI(t *testing.T) {
	bench.Require(t)
	dir := t.TempDir()
	program := filepath.Join(dir, "bench.test")
	content, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, content, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{dir, filepath.Dir(dir)} { // nobody has to get there
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for ci, says := range map[string]string{"": "--- SKIP: TestLoopback", "true": "--- FAIL: TestLoopback"} {
		cmd := exec.Command(program, "-test.run=^TestLoopbackIsTheQubesOwn$", "-test.v")
		cmd.Dir = "/"
		cmd.Env = []string{"CI=" + ci, "HOME=/nonexistent"}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, err := cmd.CombinedOutput()
		if !strings.Contains(string(out), says) || !strings.Contains(string(out), "needs root") {
			t.Errorf("with CI=%q, as nobody: %v\n%swant %q and the reason", ci, err, out, says)
		}
	}
}
