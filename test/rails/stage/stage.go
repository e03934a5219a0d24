// Package stage puts the project's files below a directory, each where the
// TemplateVM has it: the same tree for `just install`, packages and the bench.
package stage

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// layout says which part of the source tree goes where; mode 0 keeps the
// source's own executable bit.
var layout = []struct {
	from, to string
	mode     fs.FileMode
}{
	{"build/lib", "usr/lib/splitvault", 0o755},
	{"build/bin", "usr/bin", 0o755},
	{"units/client", "usr/lib/systemd/user", 0o644},
	{"units/vault", "usr/lib/systemd/user", 0o644},
	{"units/network", "usr/lib/systemd/system", 0o644},
	{"templatevm/etc", "etc", 0},
	{"templatevm/usr", "usr", 0},
	// A template and a vault have no network to read these elsewhere.
	{"README.md", doc + "README.md", 0o644},
	{"SECURITY.md", doc + "SECURITY.md", 0o644},
	{"CHANGELOG.md", doc + "CHANGELOG.md", 0o644},
	{"CONTRIBUTING.md", doc + "CONTRIBUTING.md", 0o644},
	{"docs", doc + "docs", 0o644},
	{"dom0/README.md", doc + "dom0/README.md", 0o644},
	{"dom0/policy.d", doc + "dom0/policy.d", 0o644},
	{"dom0/salt", doc + "dom0/salt", 0o644},
	// The licences of all that is linked in; packages need it under this name.
	{"debian/copyright", doc + "copyright", 0o644},
}

const doc = "usr/share/doc/splitvault/"

// Install copies each part of the layout from src below dest and returns how
// many files it wrote. Parts that the tree does not have are left out, but at
// least one program must be there.
func Install(src, dest string) (int, error) {
	return InstallBuilt(src, filepath.Join(src, "build"), dest)
}

// InstallBuilt is Install with the programs of another build directory.
func InstallBuilt(src, build, dest string) (int, error) {
	total := 0
	for _, part := range layout {
		from := filepath.Join(src, part.from)
		if programs, ok := strings.CutPrefix(part.from, "build/"); ok {
			from = filepath.Join(build, programs)
		}
		n, err := copyTree(from, filepath.Join(dest, part.to), part.mode)
		if errors.Is(err, fs.ErrNotExist) && n == 0 && part.from != "build/lib" {
			continue
		}
		if err != nil {
			return total, fmt.Errorf("installing %s: %w", part.from, err)
		}
		if n == 0 && part.from == "build/lib" {
			return total, fmt.Errorf("installing %s: no programs there (run: just build)", part.from)
		}
		total += n
	}
	return total, nil
}

// copyTree mirrors the files and symbolic links below from to the directory
// to, or the file from to the file to. Directories that are missing are made with mode 0755, whatever the
// umask; those that exist keep theirs.
func copyTree(from, to string, mode fs.FileMode) (int, error) {
	n := 0
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		switch {
		case d.IsDir():
			return makeDir(target)
		case rel == ".":
			n++ // a part that is one file
			return errors.Join(makeDir(filepath.Dir(to)), copyFile(path, to, mode))
		case strings.HasPrefix(d.Name(), "."), strings.HasSuffix(d.Name(), "~"):
			return nil // .gitkeep and editors' leavings
		case d.Type() == fs.ModeSymlink:
			n++
			return copyLink(path, target)
		case d.Type().IsRegular():
			n++
			return copyFile(path, target, mode)
		default:
			return fmt.Errorf("%s is neither file, directory nor link", path)
		}
	})
	return n, err
}

func makeDir(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := makeDir(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return os.Chmod(dir, 0o755)
}

func copyLink(from, to string) error {
	target, err := os.Readlink(from)
	if err != nil {
		return err
	}
	return replace(to, func(tmp string) error { return os.Symlink(target, tmp) })
}

func copyFile(from, to string, mode fs.FileMode) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	if mode == 0 {
		info, err := in.Stat()
		if err != nil {
			return err
		}
		mode = 0o644
		if info.Mode()&0o111 != 0 {
			mode = 0o755
		}
	}
	return replace(to, func(tmp string) error {
		out, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
		if err != nil {
			return err
		}
		_, err = io.Copy(out, in)
		return errors.Join(err, out.Chmod(mode), out.Close())
	})
}

// replace makes the new file beside its place and renames it, so that a
// program that is running, or a link that points elsewhere, is never written
// through.
func replace(to string, create func(tmp string) error) error {
	tmp := filepath.Join(filepath.Dir(to), fmt.Sprintf(".splitvault-install-%d", os.Getpid()))
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := create(tmp); err != nil {
		return errors.Join(err, os.RemoveAll(tmp))
	}
	if err := os.Rename(tmp, to); err != nil {
		return errors.Join(err, os.RemoveAll(tmp))
	}
	return nil
}
