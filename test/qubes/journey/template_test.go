package journey

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/splitvault/splitvault/test/qubes/bench"
	"github.com/splitvault/splitvault/test/qubes/bench/machine"
	"github.com/splitvault/splitvault/test/qubes/bench/roots"
	"github.com/splitvault/splitvault/test/rails/pack"
)

const (
	source       = "../../.."
	templateName = "debian-13"
)

// template is a TemplateVM: what was installed in it, as a directory that qubes
// made from it boot with.
type template struct {
	t     *testing.T
	bench *bench.Test
	dir   string
	qube  *bench.Qube // nil while it is off
}

// shelf has what the journeys begin with: the package, and templates to copy.
type shelf struct {
	kit       *bench.Kit
	pkg       []byte
	bare      map[string]string // by suite: a template without splitvault
	installed string            // of trixie: one with the package
}

func prepare(t *testing.T, kit *bench.Kit, pkg []byte) shelf {
	t.Helper()
	s := shelf{kit: kit, pkg: pkg, bare: map[string]string{}}
	for _, suite := range roots.Suites() {
		tpl := newTemplate(t, kit.New(t, suite))
		tpl.poweroff()
		s.bare[suite] = tpl.dir
		if suite == "trixie" {
			with := s.take(t, tpl.bench, suite, false)
			with.boot()
			with.put("/root/splitvault.deb", pkg)
			with.run("apt install /root/splitvault.deb")
			with.poweroff()
			s.installed = with.dir
		}
	}
	return s
}

// take copies a template, which is off.
func (s shelf) take(t *testing.T, b *bench.Test, suite string, installed bool) *template {
	t.Helper()
	from := s.bare[suite]
	if installed {
		from = s.installed
	}
	dir := filepath.Join(t.TempDir(), "template")
	if out, err := exec.CommandContext(t.Context(), "cp", "-a", from, dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return &template{t: t, bench: b, dir: dir}
}

// newTemplate makes a template without splitvault. Of Qubes' own packages dpkg
// knows the one that ours needs; their files are the bench's.
func newTemplate(t *testing.T, b *bench.Test) *template {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "template")
	// There is no password to ask for in a template, and the bench is root already.
	if err := os.MkdirAll(filepath.Join(dir, "usr/local/bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "usr/local/bin/sudo"), []byte("#!/bin/sh\nexec \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	tpl := &template{t: t, bench: b, dir: dir}
	tpl.boot()
	tpl.put("/root/qubes-core-qrexec.deb", standIn(t, "qubes-core-qrexec", "4.3.12-1+deb13u1"))
	tpl.run("dpkg --install /root/qubes-core-qrexec.deb")
	return tpl
}

// standIn is an empty package.
func standIn(t *testing.T, name, version string) []byte {
	t.Helper()
	dir := t.TempDir()
	control := "Package: " + name + "\nVersion: " + version + "\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: stand-in\n"
	if err := os.MkdirAll(filepath.Join(dir, "p/DEBIAN"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "p/DEBIAN/control"), []byte(control), 0o644); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "x.deb")
	if out, err := exec.CommandContext(t.Context(), "dpkg-deb", "--root-owner-group", "--build", filepath.Join(dir, "p"), path).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return read(t, path)
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (tpl *template) boot() {
	tpl.t.Helper()
	tpl.qube = tpl.bench.BootSpec(bench.Spec{
		Name: templateName, Template: tpl.dir, Files: map[string]string{"/run/qubes/this-is-templatevm": ""},
	})
	tpl.run("touch /run/booted; sleep 0.01")
}

// put writes a file in the running template.
func (tpl *template) put(path string, content []byte) {
	tpl.t.Helper()
	if err := tpl.qube.Put(tpl.t.Context(), path, content); err != nil {
		tpl.t.Fatal(err)
	}
}

// run runs a line in the template as its user would with sudo, and returns what it
// says.
func (tpl *template) run(line string) string {
	tpl.t.Helper()
	cmd := tpl.qube.Command(tpl.t.Context(), machine.AsRoot, "env", "HOME=/home/user", "DEBIAN_FRONTEND=noninteractive", "sh", "-euc", line)
	cmd.Stdin = strings.NewReader("y\n") // apt asks
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		tpl.t.Fatalf("[%s] %s: %v\n%s%s", templateName, line, err, out, &stderr)
	}
	return string(out)
}

// poweroff keeps what was changed in the template, and ends it.
func (tpl *template) poweroff() {
	tpl.t.Helper()
	var changed bytes.Buffer
	cmd := tpl.qube.Command(tpl.t.Context(), machine.AsRoot, "sh", "-euc",
		`cd /; find etc usr var/lib/dpkg -cnewer /run/booted ! -type d -print0 | tar --null --no-recursion -T - -c`)
	cmd.Stdout, cmd.Stderr = &changed, tpl.t.Output()
	if err := cmd.Run(); err != nil {
		tpl.t.Fatal(err)
	}
	tpl.removeWhatIsGone()
	unpack := exec.CommandContext(tpl.t.Context(), "tar", "-C", tpl.dir, "-x")
	unpack.Stdin = &changed
	if out, err := unpack.CombinedOutput(); err != nil {
		tpl.t.Fatalf("%v: %s", err, out)
	}
	if err := tpl.qube.Shutdown(tpl.t.Context()); err != nil {
		tpl.t.Fatal(err)
	}
	tpl.qube = nil
}

func (tpl *template) removeWhatIsGone() {
	tpl.t.Helper()
	inside := filepath.Join("/proc", strconv.Itoa(tpl.qube.PID()), "root")
	err := filepath.WalkDir(tpl.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if _, err := os.Lstat(filepath.Join(inside, strings.TrimPrefix(path, tpl.dir))); err == nil {
			return nil
		}
		if d.IsDir() {
			if err := os.RemoveAll(path); err != nil {
				return err
			}
			return fs.SkipDir
		}
		return os.Remove(path)
	})
	if err != nil {
		tpl.t.Fatal(err)
	}
}

// maker makes packages of the programs that the bench has installed, too.
func maker(t *testing.T, version string) pack.Maker {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	nfpm := filepath.Join(cache, "splitvault/bin/nfpm")
	if _, err := os.Stat(nfpm); err != nil {
		if out, err := just(t, source, "nfpm"); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	src, err := filepath.Abs(source)
	if err != nil {
		t.Fatal(err)
	}
	return pack.Maker{
		Source: src, Build: filepath.Join(src, "build"), Out: t.TempDir(), NFPM: nfpm,
		Version: version, Time: time.Unix(1_800_000_000, 0).UTC(), Arch: runtime.GOARCH, Compression: "zstd",
	}
}

func just(t *testing.T, dir string, recipe ...string) ([]byte, error) {
	t.Helper()
	program := "just"
	if _, err := exec.LookPath(program); err != nil {
		program = "./justw"
	}
	cmd := exec.CommandContext(t.Context(), program, recipe...)
	cmd.Dir = dir
	return cmd.CombinedOutput()
}

func deb(t *testing.T, m pack.Maker) []byte {
	t.Helper()
	path, err := m.MakeDeb()
	if err != nil {
		t.Fatal(err)
	}
	return read(t, path)
}
