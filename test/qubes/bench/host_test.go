package bench_test

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/splitvault/splitvault/test/qubes/bench"
	"github.com/splitvault/splitvault/test/qubes/bench/machine"
	"github.com/splitvault/splitvault/test/qubes/bench/roots"
)

// These make this program boot a qube, or a whole bench with one, and wait to be
// killed.
const (
	ownerVerb  = "__owner"
	victimVerb = "__victim"
)

// TestMain lets the test binary be the program that machine executes again.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == victimVerb {
		fmt.Fprintln(os.Stderr, victim())
		os.Exit(1)
	}
	verbs := []string{machine.InitVerb, machine.SuperviseVerb, ownerVerb}
	if len(os.Args) < 4 || !slices.Contains(verbs, os.Args[1]) {
		os.Exit(m.Run())
	}
	runtime.LockOSThread()
	if err := internal(os.Args[1], machine.State(os.Args[2]), os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func internal(verb string, state machine.State, text string) error {
	config, err := machine.Decode(text)
	if err != nil {
		return err
	}
	switch verb {
	case machine.InitVerb:
		return machine.Init(state, config)
	case machine.SuperviseVerb:
		return machine.Supervise(state, config, os.Stdin, os.Stdout)
	}
	return own(state, config)
}

// own boots a qube, tells its supervisor's PID, and ends only by a signal.
func own(state machine.State, config machine.Config) error {
	running, err := machine.Start(state, config, os.Args[0])
	if err != nil {
		return err
	}
	fmt.Println(running.Supervisor())
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// victim opens a bench, tells its state directory, and ends only by a signal.
func victim() error {
	kit, err := bench.BuildKit(context.Background(), os.Stderr)
	if err != nil {
		return err
	}
	b, err := kit.Open(context.Background(), "bookworm", os.Stderr)
	if err != nil {
		return err
	}
	if _, err := b.Start(bench.Spec{Name: qubeName(b.State())}); err != nil {
		return err
	}
	fmt.Println(b.State())
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// rootOf returns a suite's root, built if need be.
func rootOf(t *testing.T, suite string) string {
	t.Helper()
	bench.Require(t)
	dir, err := roots.Build(t.Context(), suite, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// boot boots a bare qube, without the project, that ends with the test.
func boot(t *testing.T, state machine.State, config machine.Config) *machine.Running {
	t.Helper()
	start := time.Now()
	running, err := machine.Start(state, config, os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	took := time.Since(start)
	t.Logf("%s on %s booted in %v", config.Name, filepath.Base(config.Root), took.Round(time.Millisecond))
	if took > 10*time.Second { // a third of a second on an idle machine
		t.Errorf("%s took %v to boot", config.Name, took)
	}
	t.Cleanup(func() {
		if err := running.Release(); err != nil {
			t.Errorf("ending %s: %v", config.Name, err)
		}
	})
	return running
}

// enter runs a shell line in a qube as root; the test binary cannot be the
// program for that, so the namespaces are entered as Enter does it.
func enter(t *testing.T, state machine.State, name, line string) (string, error) {
	t.Helper()
	out, err := exec.Command("nsenter", "-t", fmt.Sprint(state.PID(name)), "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w",
		"setpriv", "--pdeathsig", "KILL", "sh", "-c", line).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// hostState is what no qube may change.
func hostState(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, file := range []string{"/proc/1/cgroup", "/proc/self/cgroup", "/proc/self/mountinfo"} {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(content)
	}
	return all.String()
}

// processes are the processes whose command line names a state directory.
func processes(state machine.State) []string {
	var found []string
	commands, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range commands {
		content, err := os.ReadFile(file)
		if err == nil && strings.Contains(string(content), string(state)) {
			found = append(found, strings.ReplaceAll(string(content), "\x00", " "))
		}
	}
	return found
}

// traces are the processes and the cgroup of a state directory's one qube.
func traces(state machine.State) []string {
	found := processes(state)
	for _, root := range []string{"/sys/fs/cgroup/unified", "/sys/fs/cgroup"} {
		dirs, _ := filepath.Glob(filepath.Join(root, "testqube-*-"+qubeName(state)))
		found = append(found, dirs...)
	}
	return found
}

// qubeName is a name that no other test's qube has: the cgroup is named after it.
func qubeName(state machine.State) string {
	hash := fnv.New32a()
	hash.Write([]byte(state))
	return fmt.Sprintf("t%x", hash.Sum(nil))
}

func TestBootLeavesTheHostAsItWas(t *testing.T) {
	for _, suite := range roots.Suites() {
		t.Run(suite, func(t *testing.T) {
			root := rootOf(t, suite)
			state := machine.State(t.TempDir())
			before := hostState(t)
			running := boot(t, state, machine.Config{Name: "work", Root: root})
			if now := hostState(t); now != before {
				t.Errorf("a running qube changes the host:\n%s\nbefore:\n%s", now, before)
			}
			out, err := enter(t, state, "work", "cat /proc/1/comm; hostname; systemctl is-system-running; systemctl --user -M user@ is-system-running")
			if want := "systemd\nwork\nrunning\nrunning"; out != want {
				t.Errorf("in the qube: %q (%v), want %q", out, err, want)
			}
			if err := running.Release(); err != nil {
				t.Error(err)
			}
			if now := hostState(t); now != before {
				t.Errorf("a qube that was leaves the host changed:\n%s\nbefore:\n%s", now, before)
			}
		})
	}
}

// The kernel is the host's: a qube's root must not reach it by the usual ways.
func TestQubeCannotChangeTheHostsKernel(t *testing.T) {
	state := machine.State(t.TempDir())
	boot(t, state, machine.Config{Name: "work", Root: rootOf(t, "bookworm")})
	for name, line := range map[string]string{
		"sysctl":          "echo x >/proc/sys/kernel/hostname",
		"sysrq":           "echo h >/proc/sysrq-trigger",
		"sysfs":           "echo 1 >/sys/kernel/mm/ksm/run || mkdir /sys/x",
		"block devices":   "find /dev -type b | grep .",
		"host's devices":  "ls -d /dev/mem /dev/kmsg /dev/kvm /dev/sda /dev/vda",
		"host's cgroups":  "ls -d /sys/fs/cgroup/testqube-*",
		"host's old root": "ls -d /.old",
	} {
		if out, err := enter(t, state, "work", line); err == nil {
			t.Errorf("%s: %q succeeds: %s", name, line, out)
		}
	}
	const reaching = 1<<16 | 1<<17 | 1<<25 | 1<<34 // SYS_MODULE, SYS_RAWIO, SYS_TIME, SYSLOG
	out, err := enter(t, state, "work", "sed -n 's/^CapBnd:[[:space:]]*//p' /proc/1/status")
	var bounding uint64
	if _, scanErr := fmt.Sscanf(out, "%x", &bounding); err != nil || scanErr != nil || bounding == 0 || bounding&reaching != 0 {
		t.Errorf("PID 1 has the capabilities %q (%v, %v)", out, err, scanErr)
	}
}

func TestLoopbackIsTheQubesOwn(t *testing.T) {
	state, root := machine.State(t.TempDir()), rootOf(t, "bookworm")
	boot(t, state, machine.Config{Name: "vault", Root: root})
	boot(t, state, machine.Config{Name: "work", Root: root})
	if out, err := enter(t, state, "vault", "systemd-run --quiet --unit=port socat TCP-LISTEN:8550,bind=127.0.0.1,fork EXEC:cat"); err != nil {
		t.Fatal(out, err)
	}
	const ask = "for i in 1 2 3 4 5 6 7 8 9; do echo here | socat -t9 - TCP:127.0.0.1:8550 && exit; sleep 0.1; done; exit 1"
	if out, err := enter(t, state, "vault", ask); err != nil || !strings.HasSuffix(out, "here") {
		t.Fatalf("vault cannot reach its own port: %q, %v", out, err)
	}
	if out, err := enter(t, state, "work", "socat -u OPEN:/dev/null TCP:127.0.0.1:8550"); err == nil || !strings.Contains(out, "refused") {
		t.Errorf("work at vault's port: %q, %v", out, err)
	}
	if out, err := enter(t, state, "work", "ip -o link | wc -l"); out != "1" {
		t.Errorf("work has %s network devices (%v), want lo alone", out, err)
	}
}

func TestRefusesWhatMustNotBoot(t *testing.T) {
	root := rootOf(t, "bookworm")
	elsewhere := t.TempDir()
	host := filepath.Join(elsewhere, "host")
	if err := os.Symlink("/", host); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ name, qube, root, says string }{
		{"the host's root", "work", "/", "the host's own"},
		{"the host's root by a link", "work", host, "the host's own"},
		{"the host's root by dots", "work", "/usr/..", "the host's own"},
		{"no system", "work", elsewhere, "no systemd"},
		{"a name that leaves the state directory", "../work", root, "qube name"},
		{"dom0", "dom0", root, "taken"},
	} {
		t.Run(row.name, func(t *testing.T) {
			state := machine.State(t.TempDir())
			_, err := machine.Start(state, machine.Config{Name: row.qube, Root: row.root}, os.Args[0])
			if err == nil || !strings.Contains(err.Error(), row.says) {
				t.Errorf("booting it: %v, want an error with %q", err, row.says)
			}
		})
	}
	t.Run("a second one of the same name", func(t *testing.T) {
		state := machine.State(t.TempDir())
		config := machine.Config{Name: "work", Root: root}
		boot(t, state, config)
		first := state.PID("work")
		if _, err := machine.Start(state, config, os.Args[0]); err == nil || !strings.Contains(err.Error(), "running already") {
			t.Errorf("booting it: %v", err)
		}
		if state.PID("work") != first {
			t.Error("the attempt ended the first")
		}
	})
	t.Run("a distribution that does not boot", func(t *testing.T) {
		state, layer := machine.State(t.TempDir()), t.TempDir()
		broken := filepath.Join(layer, "usr/lib/systemd/systemd")
		if err := errors.Join(os.MkdirAll(filepath.Dir(broken), 0o755), os.WriteFile(broken, []byte("no program"), 0o755)); err != nil {
			t.Fatal(err)
		}
		config := machine.Config{Name: qubeName(state), Root: root, Layers: []string{layer}}
		if _, err := machine.Start(state, config, os.Args[0]); err == nil || !strings.Contains(err.Error(), "died at boot") {
			t.Errorf("booting it: %v", err)
		}
		if left := traces(state); len(left) != 0 {
			t.Errorf("left over: %q", left)
		}
	})
}
