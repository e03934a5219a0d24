package confinement

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/splitvault/splitvault/test/baseline"
	"github.com/splitvault/splitvault/test/qubes/bench"
	"github.com/splitvault/splitvault/test/qubes/bench/machine"
	"github.com/splitvault/splitvault/test/qubes/bench/roots"
)

// TestInQubes is all that needs booted qubes, on every systemd that is supported.
func TestInQubes(t *testing.T) {
	kit := bench.Prepare(t)
	for _, suite := range roots.Suites() {
		t.Run(suite+"/options", func(t *testing.T) {
			t.Parallel()
			everyOption(t, kit, suite)
		})
		t.Run(suite+"/daemons", func(t *testing.T) {
			t.Parallel()
			runningDaemons(t, kit, suite)
		})
	}
}

// everyOption tries each option alone: what it refuses must be possible without it.
func everyOption(t *testing.T, kit *bench.Kit, suite string) {
	t.Helper()
	q := kit.New(t, suite).Boot("work")
	furnish(t, q)
	tryAll(t, q, machine.AsUser, "systemd-run --user", UserOptions())
	tryAll(t, q, machine.AsRoot, "systemd-run -p User=splitvault", SystemOptions())
}

const possible = "possible"

// tryAll runs each option's probe without and with it, one after the other.
func tryAll(t *testing.T, q *bench.Qube, way machine.Way, start string, options []Option) {
	t.Helper()
	options = slices.DeleteFunc(options, func(o Option) bool {
		missing := o.Controller != "" && !has(t, q, o.Controller)
		if missing {
			t.Logf("%s: this kernel gives systemd no controller %q: not tried", o.Setting, o.Controller)
		}
		return missing
	})
	var script strings.Builder
	for _, o := range options {
		for _, settings := range [][]string{o.With, append(slices.Clone(o.With), o.Setting)} {
			script.WriteString("echo $(" + start + " --pipe --wait --collect --quiet")
			for _, s := range settings {
				fmt.Fprintf(&script, " -p '%s'", strings.ReplaceAll(s, "%t", "/run/user/1000"))
			}
			fmt.Fprintf(&script, " /usr/local/bin/probe %q 2>&1)\n", o.Probe)
		}
	}
	cmd := q.Command(t.Context(), way, "sh", "-s")
	cmd.Stdin = strings.NewReader(script.String())
	out, err := cmd.CombinedOutput()
	lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if err != nil || len(lines) != 2*len(options) {
		t.Fatalf("%d lines for %d options, %v:\n%s", len(lines), len(options), err, out)
	}
	for i, o := range options {
		without, with := lines[2*i], lines[2*i+1]
		if o.Opens {
			without, with = with, without
		}
		if without != possible {
			t.Errorf("%s: possible to %s? %q: nothing is proved", o.Setting, o.Probe, without)
		}
		// Killed by the filter, a probe says nothing.
		if killed := o.Opens && with == ""; !killed && !strings.HasPrefix(with, "refused: ") {
			t.Errorf("%s: possible to %s? %q", o.Setting, o.Probe, with)
		}
	}
}

func has(t *testing.T, q *bench.Qube, controller string) bool {
	t.Helper()
	out, err := q.Root(t.Context(), "cat", "/sys/fs/cgroup/cgroup.controllers")
	if err != nil {
		t.Fatal(err)
	}
	return slices.Contains(strings.Fields(out), controller)
}

// furnish puts into a qube what the probes look for.
func furnish(t *testing.T, q *bench.Qube) {
	t.Helper()
	files := map[string][]byte{}
	for name, arch := range map[string]string{"probe": "amd64", "probe32": "386"} {
		out := filepath.Join(t.TempDir(), name)
		cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-o", out, "./probe")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH="+arch)
		if said, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("building the probe: %v\n%s", err, said)
		}
		program, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		files["/usr/local/bin/"+name] = program
	}
	if err := baseline.Put(t.Context(), q, files); err != nil {
		t.Fatal(err)
	}
	const prepare = `set -e
cp /usr/bin/id /usr/local/bin/id-as-root && chmod 4755 /usr/local/bin/id-as-root
mkdir -p /usr/lib/modules/probe /var/lib/splitvault /run/splitvault
getent passwd splitvault >/dev/null || useradd --system --home-dir /var/lib/splitvault --shell /usr/sbin/nologin splitvault
chown splitvault: /var/lib/splitvault /run/splitvault
: >/tmp/others
mknod /dev/others c 1 3
test -e /dev/kmsg || mknod /dev/kmsg c 1 11
ip address add 10.99.99.99/32 dev lo
readlink /proc/self/ns/uts >/var/lib/probe-uts`
	if _, err := q.Root(t.Context(), prepare); err != nil {
		t.Fatal(err)
	}
}
