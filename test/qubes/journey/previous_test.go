package journey

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// previous is the package of the commit that gave the project its version, made by
// that commit's own recipes: the one that this checkout's changes will meet. It stays
// in the cache. An error says that this checkout has no history that far, as a shallow
// one has not.
func previous(t *testing.T) ([]byte, error) {
	t.Helper()
	commit, err := lastVersion(t)
	if err != nil {
		return nil, err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "splitvault", "previous")
	kept := filepath.Join(dir, commit+"-"+runtime.GOARCH+".deb")
	pkg, err := os.ReadFile(kept)
	if err != nil {
		pkg = buildOf(t, commit)
		err = errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(kept+".new", pkg, 0o600), os.Rename(kept+".new", kept))
	}
	if err != nil {
		t.Fatal(err)
	}
	return pkg, nil
}

// lastVersion is the last commit before this one that changed the file version.
func lastVersion(t *testing.T) (string, error) {
	t.Helper()
	if shallow, err := git(t, source, "rev-parse", "--is-shallow-repository"); err != nil || shallow != "false\n" {
		return "", errors.Join(errors.New("this is no checkout with its history"), err)
	}
	out, err := git(t, source, "log", "-1", "--format=%H", "HEAD^", "--", "version")
	if err == nil && out == "" {
		err = errors.New("no earlier commit has a version")
	}
	return strings.TrimSpace(out), err
}

// buildOf makes the package of a commit.
func buildOf(t *testing.T, commit string) []byte {
	t.Helper()
	dir := t.TempDir()
	src, out := filepath.Join(dir, "src"), filepath.Join(dir, "out")
	if err := os.Mkdir(src, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := git(t, source, "archive", "--output="+filepath.Join(dir, "tar"), commit); err != nil {
		t.Fatal(err)
	}
	if said, err := exec.CommandContext(t.Context(), "tar", "-x", "-C", src, "-f", filepath.Join(dir, "tar")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	if said, err := just(t, src, "package", out); err != nil {
		t.Fatalf("building %s: %v: %s", commit, err, said)
	}
	made, err := filepath.Glob(filepath.Join(out, "splitvault_*.deb"))
	if err != nil || len(made) != 1 {
		t.Fatalf("the packages of %s: %q, %v", commit, made, err)
	}
	return read(t, made[0])
}

func git(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	// A clone that belongs to another user is read all the same.
	cmd := exec.CommandContext(t.Context(), "git", append([]string{"-c", "safe.directory=*"}, args...)...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		err = fmt.Errorf("git %s: %w: %s", args[0], err, exit.Stderr)
	}
	return string(out), err
}

// olderBuild is a package of this project as an older one might have been: another
// version, a program and a unit that are gone, and a script with other words.
func olderBuild(t *testing.T) []byte {
	t.Helper()
	src := filepath.Join(t.TempDir(), "older")
	script := `mkdir -p "$2" && cd "$1" && cp -a units templatevm dom0 docs debian *.md "$2" && mkdir -p "$2/build" && cp -a build/lib build/bin "$2/build"
		cp "$2/build/lib/ssh-relay" "$2/build/lib/old-relay"
		printf '#!/bin/sh\necho splitvault 0.0.9\n' >"$2/build/bin/splitvault"
		printf '[Unit]\nConditionPathExists=/nowhere\n[Socket]\nListenStream=%%t/old\n' >"$2/units/client/splitvault-old.socket"
		echo '# older' >>"$2/templatevm/etc/qubes/post-install.d/30-splitvault.sh"`
	m := maker(t, "0.0.9")
	if out, err := exec.CommandContext(t.Context(), "sh", "-euc", script, "sh", m.Source, src).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	m.Source, m.Build = src, filepath.Join(src, "build")
	return deb(t, m)
}
