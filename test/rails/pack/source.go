package pack

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/splitvault/splitvault/test/rails/tarball"
)

// Archive writes the source archive of a checkout to the file at path: what git
// would commit now, and in vendor/ the modules, so that it builds without a
// network. Where git knows nothing of the checkout, all but build/ is taken.
func Archive(source, path string, r Release) error {
	work, err := os.MkdirTemp("", "splitvault-source-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	names, err := sources(source)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := copyOne(filepath.Join(source, name), filepath.Join(work, name)); err != nil {
			return fmt.Errorf("copying %q: %w", name, err)
		}
	}
	vendor := exec.Command("go", "mod", "vendor")
	vendor.Dir = work
	if out, err := vendor.CombinedOutput(); err != nil {
		return fmt.Errorf("running go mod vendor: %w: %s", err, out)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return tarball.Write(path, work, "splitvault-"+r.Version, r.Time)
}

// sources lists the files that belong to a checkout.
func sources(source string) ([]string, error) {
	if out, err := git(source, "ls-files", "-z", "--cached", "--others", "--exclude-standard"); err == nil {
		var names []string
		for name := range strings.SplitSeq(strings.TrimSuffix(out, "\x00"), "\x00") {
			if _, err := os.Lstat(filepath.Join(source, name)); err == nil { // not removed since
				names = append(names, name)
			}
		}
		return names, nil
	}
	var names []string
	err := filepath.WalkDir(source, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(source, path)
		switch {
		case err != nil:
			return err
		case name == "build" || name == ".git" || name == "vendor":
			return skip(d)
		case !d.IsDir():
			names = append(names, name)
		}
		return nil
	})
	return names, err
}

// skip leaves out a directory, or the file that a worktree has in its place.
func skip(d fs.DirEntry) error {
	if d.IsDir() {
		return fs.SkipDir
	}
	return nil
}

func copyOne(from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	info, err := os.Lstat(from)
	if err != nil {
		return err
	}
	if info.Mode().Type() == fs.ModeSymlink {
		target, err := os.Readlink(from)
		return errors.Join(err, os.Symlink(target, to))
	}
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	mode := fs.FileMode(0o644) // whatever the umask of the checkout
	if info.Mode()&0o111 != 0 {
		mode = 0o755
	}
	return errors.Join(os.WriteFile(to, text, mode), os.Chmod(to, mode))
}
