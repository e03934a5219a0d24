package packages

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/splitvault/splitvault/test/rails/pack"
)

// TestLintianHasNothingToSay beyond what debian/splitvault.lintian-overrides
// answers.
func TestLintianHasNothingToSay(t *testing.T) {
	need(t, "lintian")
	t.Setenv("TMPDIR", t.TempDir()) // lintian leaves its files (mldbm-*) where temporary files are
	args := []string{"--no-cfg", "--fail-on", "error,warning"}
	if os.Geteuid() == 0 {
		args = append(args, "--allow-root")
	}
	if said := run(t, "", "lintian", append(args, builtDeb(t))...); said != "" {
		t.Error(said)
	}
}

// TestRpmlintHasNothingToSay beyond what testdata/rpmlint.toml answers.
func TestRpmlintHasNothingToSay(t *testing.T) {
	need(t, "rpmlint")
	config, err := filepath.Abs("testdata/rpmlint.toml")
	if err != nil {
		t.Fatal(err)
	}
	const installed = "/usr/lib/splitvault/client-env"
	before, _ := os.Stat(installed) // nil where it is not installed here
	cmd := exec.CommandContext(t.Context(), "rpmlint", "-c", config, builtRPM(t), builtDom0(t))
	cmd.Env = append(os.Environ(), "PATH="+relativeCpio(t)+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), " 0 errors, 0 warnings") {
		t.Errorf("%v\n%s", err, out)
	}
	after, _ := os.Stat(installed)
	if (before == nil) != (after == nil) || before != nil && !os.SameFile(before, after) {
		t.Error("rpmlint has installed the package on this machine")
	}
}

// relativeCpio returns a directory with a cpio for rpmlint, which unpacks rpms with
// the names that are in them. nfpm writes absolute ones, so that rpmlint as root would
// install the package.
func relativeCpio(t *testing.T) string {
	t.Helper()
	real, err := exec.LookPath("cpio")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	script := "#!/bin/sh\nexec " + real + " --no-absolute-filenames \"$@\"\n"
	if err := os.WriteFile(filepath.Join(dir, "cpio"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestTheRPMsUnitsAreWholeWhereTheyLand: no Fedora boots here, so the rpm's own
// files are what systemd-analyze looks at.
func TestTheRPMsUnitsAreWholeWhereTheyLand(t *testing.T) {
	need(t, "systemd-analyze")
	said := run(t, source, "go", "run", "./test/rails/cmd/unitcheck", "-tree", unpackRPM(t, builtRPM(t)))
	if !strings.Contains(said, "nothing to say") {
		t.Error(said)
	}
}

// TestTheSameTreeGivesTheSameBytes: wherever it lies, whenever it was copied,
// under whatever umask.
func TestTheSameTreeGivesTheSameBytes(t *testing.T) {
	builtDeb(t)
	nfpm, err := nfpmPath()
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "another", "place")
	for _, dir := range []string{"build/release", "units", "templatevm", "dom0", "docs", "debian"} {
		run(t, source, "sh", "-c", `umask 077; mkdir -p "$2/$(dirname "$1")" && cp -R "$1" "$2/$1" && find "$2/$1" -exec touch -h -d 2001-02-03 {} +`, "sh", dir, copied)
	}
	run(t, source, "sh", "-c", `cp ./*.md "$1"`, "sh", copied)
	m := pack.Maker{NFPM: nfpm, Version: "1.2.3", Time: time.Unix(1_800_000_000, 0).UTC(), Arch: "amd64", Compression: "zstd"}
	var pair [2][]string
	for i, from := range []string{source, copied} {
		if m.Source, err = filepath.Abs(from); err != nil {
			t.Fatal(err)
		}
		m.Build = filepath.Join(m.Source, "build/release")
		m.Out = filepath.Join(t.TempDir(), "out")
		if pair[i], err = m.Make(); err != nil {
			t.Fatal(err)
		}
	}
	for i, path := range pair[0] {
		a, errA := os.ReadFile(path)
		b, errB := os.ReadFile(pair[1][i])
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			t.Errorf("%s differs: %v, %v", filepath.Base(path), errA, errB)
		}
	}
}

func nfpmPath() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return exec.LookPath(filepath.Join(cache, "splitvault/bin/nfpm"))
}

// TestABuildIsNewerThanTheLastReleaseAndOlderThanItsOwn, for both package managers.
func TestABuildIsNewerThanTheLastReleaseAndOlderThanItsOwn(t *testing.T) {
	ordered := []string{"0.1.0~git20261126235733.22fddb6", "0.1.0~git20261127000000.0000000", "0.1.0", "0.1.1~git20261127000001.fffffff", "0.1.1"}
	for i := range len(ordered) - 1 {
		older, newer := ordered[i], ordered[i+1]
		run(t, "", "dpkg", "--compare-versions", older+"-1", "lt", newer+"-1")
		if got := run(t, "", "rpm", "--eval", "%{lua:print(rpm.vercmp('"+older+"', '"+newer+"'))}"); got != "-1\n" {
			t.Errorf("rpm takes %s for no older than %s: %s", older, newer, got)
		}
	}
}
