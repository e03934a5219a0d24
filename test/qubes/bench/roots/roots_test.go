package roots

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// fakeMmdebstrap puts a script in PATH that makes what a root is recognised by,
// and counts its runs in the returned file. The last argument is the directory.
func fakeMmdebstrap(t *testing.T, body string) (runs string) {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("building a root needs root")
		}
		t.Skip("building a root needs root")
	}
	dir := t.TempDir()
	runs = filepath.Join(dir, "runs")
	script := "#!/bin/sh\necho run >>" + runs + "\nfor dir; do :; done\n" + body + "\n"
	if err := os.WriteFile(filepath.Join(dir, "mmdebstrap"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	return runs
}

const good = `mkdir -p "$dir/usr/lib/systemd" && sleep 0.2 && : >"$dir/usr/lib/systemd/systemd"`

func entries(t *testing.T) []string {
	t.Helper()
	cache, err := Cache()
	if err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob(filepath.Join(cache, "roots", "[a-z]*"))
	if err != nil {
		t.Fatal(err)
	}
	hidden, err := filepath.Glob(filepath.Join(cache, "roots", ".building-*"))
	if err != nil {
		t.Fatal(err)
	}
	return append(found, hidden...)
}

func TestRunsAtTheSameTimeBuildOnce(t *testing.T) {
	runs := fakeMmdebstrap(t, good)
	want, err := Dir("trixie")
	if err != nil {
		t.Fatal(err)
	}
	var builders sync.WaitGroup
	for range 4 {
		builders.Go(func() {
			if got, err := Build(t.Context(), "trixie", t.Output()); err != nil || got != want {
				t.Errorf("Build: %q, %v, want %q", got, err, want)
			}
		})
	}
	builders.Wait()
	if count, err := os.ReadFile(runs); err != nil || string(count) != "run\n" {
		t.Errorf("mmdebstrap ran as %q (%v), want once", count, err)
	}
}

func TestFailedBuildLeavesNothing(t *testing.T) {
	for name, body := range map[string]string{
		"mmdebstrap fails":              good + "\necho E: no such mirror >&2; exit 1",
		"mmdebstrap makes half of it":   `mkdir -p "$dir/usr"`,
		"mmdebstrap is killed by a bug": "kill -9 $$",
	} {
		t.Run(name, func(t *testing.T) {
			fakeMmdebstrap(t, body)
			var log bytes.Buffer
			if _, err := Build(t.Context(), "bookworm", &log); err == nil {
				t.Error("no error")
			}
			if left := entries(t); len(left) != 0 {
				t.Errorf("left over: %q", left)
			}
		})
	}
}

func TestHalfBuiltRootOfAKilledRunIsSwept(t *testing.T) {
	fakeMmdebstrap(t, good)
	dir, err := Dir("bookworm")
	if err != nil {
		t.Fatal(err)
	}
	half := filepath.Join(filepath.Dir(dir), ".building-bookworm-1", "usr")
	if err := os.MkdirAll(half, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Build(t.Context(), "bookworm", t.Output()); err != nil {
		t.Fatal(err)
	}
	if left := entries(t); len(left) != 1 || left[0] != dir {
		t.Errorf("there are %q, want %q alone", left, dir)
	}
}

func TestMissingMmdebstrapNamesTheLineToType(t *testing.T) {
	fakeMmdebstrap(t, good)
	t.Setenv("PATH", t.TempDir())
	_, err := Build(t.Context(), "bookworm", t.Output())
	if err == nil || !strings.Contains(err.Error(), "apt-get install mmdebstrap") {
		t.Errorf("error %v, want the apt line", err)
	}
}

func TestUnknownSuiteIsRefused(t *testing.T) {
	for _, suite := range []string{"", "sid", "../bookworm"} {
		if dir, err := Dir(suite); err == nil {
			t.Errorf("suite %q gets %q", suite, dir)
		}
	}
}
