package packages

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/splitvault/splitvault/test/rails/stage"
)

const source = "../.."

// made makes all packages, once for all tests, and returns their version.
var made = sync.OnceValues(func() (string, error) {
	just := "just"
	if _, err := exec.LookPath(just); err != nil {
		just = "./justw"
	}
	for _, recipe := range []string{"package", "source"} {
		cmd := exec.Command(just, recipe)
		cmd.Dir = source
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("just %s: %w\n%s", recipe, err, out)
		}
	}
	cmd := exec.Command("go", "run", "./test/rails/cmd/package", "-version")
	cmd.Dir = source
	version, err := cmd.Output()
	return strings.TrimSpace(string(version)), err
})

// built returns the one package of this version in build/packages that matches.
func built(t *testing.T, pattern string) string {
	t.Helper()
	release, err := made()
	if err != nil {
		t.Fatal(err)
	}
	paths, err := filepath.Glob(filepath.Join(source, "build/packages", strings.Replace(pattern, "VERSION", release, 1)))
	if err != nil || len(paths) != 1 {
		t.Fatalf("%d packages are %s of version %s: %v", len(paths), pattern, release, err)
	}
	path, err := filepath.Abs(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func builtDeb(t *testing.T) string {
	t.Helper()
	return built(t, "splitvault_VERSION-1_*.deb")
}

func builtRPM(t *testing.T) string {
	t.Helper()
	return built(t, "splitvault-VERSION-1.*.rpm")
}

func builtDom0(t *testing.T) string {
	t.Helper()
	return built(t, "splitvault-dom0-VERSION-1.noarch.rpm")
}

// need skips a test whose program is missing, and fails it where $CI is set.
func need(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err == nil {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is missing, and in CI nothing may be left out", program)
	}
	t.Skipf("%s is missing", program)
}

// run returns what a program prints on stdout, and fails the test with its stderr.
func run(t *testing.T, dir, program string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", program, strings.Join(args, " "), err, out, &stderr)
	}
	return string(out)
}

// unpackDeb returns a directory with a package's files.
func unpackDeb(t *testing.T, path string) string {
	t.Helper()
	dir := t.TempDir()
	run(t, "", "dpkg-deb", "--extract", path, dir)
	return dir
}

// unpackRPM is the same for an rpm, without installing it.
func unpackRPM(t *testing.T, path string) string {
	t.Helper()
	need(t, "rpm2archive")
	dir := t.TempDir()
	archive := filepath.Join(t.TempDir(), "x.tgz")
	text, err := exec.CommandContext(t.Context(), "sh", "-c", `rpm2archive - <"$1" >"$2"`, "sh", path, archive).CombinedOutput()
	if err != nil {
		t.Fatalf("rpm2archive: %v: %s", err, text)
	}
	run(t, "", "tar", "-C", dir, "-xzf", archive)
	return dir
}

// staged returns the tree that `just install` makes, of a release's programs.
func staged(t *testing.T) string {
	t.Helper()
	if _, err := made(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if _, err := stage.InstallBuilt(source, filepath.Join(source, "build/release"), dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// entry is a file as it counts here.
type entry struct {
	mode fs.FileMode
	text string // of a file; of a link, where it points to
}

// files returns all below dir but directories, by path.
func files(t *testing.T, dir string) map[string]entry {
	t.Helper()
	all := map[string]entry{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		if d.Type() == fs.ModeSymlink {
			var to string
			to, err = os.Readlink(path)
			text = []byte(to)
		}
		all[strings.TrimPrefix(path, dir)] = entry{info.Mode(), string(text)}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
