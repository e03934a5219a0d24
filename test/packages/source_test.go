package packages

import (
	"bytes"
	_ "embed"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/splitvault/splitvault/test/qubes/bench/roots"
)

//go:embed testdata/offline.sh
var offline string

// TestTheSourcePackageBuildsOfflineInDebian13: with the Go that go.mod asks for in
// a local directory, without a network, root or this checkout. What comes out are
// the files of `just package`, and programs that are the same, byte for byte, when
// they are built here: in another place, system, account and cache.
func TestTheSourcePackageBuildsOfflineInDebian13(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to enter a Debian 13 of its own")
	}
	debian, err := roots.Build(t.Context(), roots.Packaging, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	work := t.TempDir()
	version := strings.TrimSpace(string(read(t, filepath.Join(source, "version"))))
	archive := filepath.Join(work, "splitvault_"+version+".orig.tar.gz")
	if err := os.WriteFile(archive, read(t, built(t, "splitvault-VERSION.tar.gz")), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "sh", "-euc", offline, "sh",
		debian, strings.TrimSpace(run(t, source, "go", "env", "GOROOT")), work, archive)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	debs, err := filepath.Glob(filepath.Join(work, "build/splitvault_"+version+"-1_*.deb"))
	if err != nil || len(debs) != 1 {
		t.Fatalf("got %d packages, %v", len(debs), err)
	}
	if dsc, _ := filepath.Glob(filepath.Join(work, "build/*.dsc")); len(dsc) != 1 {
		t.Errorf("got %d source packages", len(dsc))
	}
	compare(t, unpackDeb(t, debs[0]), rebuild(t, archive, version))
	dir := t.TempDir()
	run(t, "", "dpkg-deb", "--control", debs[0], dir)
	for path := range files(t, dir) {
		if strings.Contains("/preinst /postinst /prerm /postrm /triggers", path) {
			t.Errorf("debhelper has added %s", path)
		}
	}
}

// compare holds what the source package made against the one of `just package`.
func compare(t *testing.T, tree string, programs map[string]string) {
	t.Helper()
	ours, theirs := files(t, unpackDeb(t, builtDeb(t))), files(t, tree)
	for path, want := range ours {
		got, found := theirs[path]
		if name := filepath.Base(path); strings.HasPrefix(want.text, "\x7fELF") {
			want.text = programs[name]
		} else if strings.HasSuffix(path, ".gz") {
			got.text, want.text = "", "" // by another compressor
		}
		if !found || got != want {
			t.Errorf("%s: made: %t, mode %v, want %v; the same bytes: %t", path, found, got.mode, want.mode, got.text == want.text)
		}
		delete(theirs, path)
	}
	for path := range theirs {
		t.Errorf("%s is only in the package from source", path)
	}
}

// rebuild builds the archive's programs on this machine. They differ from those of
// `just build` in one thing: without the module cache Go cannot write down the
// checksums of the modules.
func rebuild(t *testing.T, archive, version string) map[string]string {
	t.Helper()
	dir, out := t.TempDir(), t.TempDir()
	run(t, "", "tar", "-C", dir, "--strip-components=1", "-xzf", archive)
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath",
		"-ldflags=-s -w -X github.com/splitvault/splitvault/pkg/version.linked="+version, "-o", out+"/", "./daemons/...", "./cmd/...")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=vendor -buildvcs=false", "GOPROXY=off")
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	all := map[string]string{}
	for path, e := range files(t, out) {
		all[filepath.Base(path)] = e.text
	}
	return all
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Clone(text)
}
