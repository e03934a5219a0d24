package pack

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// family is what distributions want differently.
type family struct {
	// config returns nfpm's type of a file below /etc.
	config func(executable bool) string
	// doc is nfpm's type of documents and manual pages.
	doc string
}

var (
	// Debian keeps every file below /etc that its administrator changed.
	debian = family{config: func(bool) string { return "config" }}
	// In an rpm a script is none: it says what this version offers.
	fedora = family{config: func(executable bool) string {
		if executable {
			return ""
		}
		return "config|noreplace"
	}, doc: "doc"}
)

// contents lists all of a tree for one family. Manual pages are compressed into
// scratch, as both want them.
func contents(tree, scratch string, f family, t time.Time) ([]content, error) {
	if err := os.MkdirAll(scratch, 0o755); err != nil {
		return nil, err
	}
	var all []content
	err := filepath.WalkDir(tree, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(tree, path)
		if err != nil {
			return err
		}
		target := "/" + rel
		switch {
		case d.IsDir():
			if own(target) {
				all = append(all, content{Target: target, Type: "dir", Info: info(0o755, t)})
			}
			return nil
		case d.Type() == fs.ModeSymlink:
			to, err := os.Readlink(path)
			all = append(all, content{Source: to, Target: target, Type: "symlink", Info: info(0, t)})
			return err
		case manual(target):
			page := filepath.Join(scratch, filepath.Base(target)+".gz")
			all = append(all, content{Source: page, Target: target + ".gz", Type: f.doc, Info: info(0o644, t)})
			return compress(path, page)
		}
		stat, err := d.Info()
		if err != nil {
			return err
		}
		mode := uint32(stat.Mode().Perm())
		c := content{Source: path, Target: target, Info: info(mode, t)}
		switch {
		case strings.HasPrefix(target, "/etc/"):
			c.Type = f.config(mode&0o111 != 0)
		case strings.HasPrefix(target, "/usr/share/doc/"):
			c.Type = f.doc
		}
		all = append(all, c)
		return nil
	})
	return all, err
}

// own tells whether a directory is the package's own, so that it goes with it.
func own(dir string) bool {
	return strings.Contains(dir, "/splitvault") || strings.HasPrefix(dir, "/usr/lib/systemd/user/") && strings.HasSuffix(dir, ".d")
}

func manual(path string) bool { return strings.HasPrefix(path, "/usr/share/man/") }

// compress writes what `gzip -9n` would: no name and no time in it.
func compress(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := w.Write(text); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return os.WriteFile(to, b.Bytes(), 0o600)
}

// debianOwn is what Debian wants of a package beside the tree; a source package
// gets it from debhelper.
func (m Maker) debianOwn(scratch string) ([]content, error) {
	if err := os.MkdirAll(scratch, 0o755); err != nil {
		return nil, err
	}
	own := []content{m.file("debian/splitvault.lintian-overrides", "/usr/share/lintian/overrides/splitvault", "", 0o644, "root")}
	for from, name := range map[string]string{"CHANGELOG.md": "changelog.gz", "debian/changelog": "changelog.Debian.gz"} {
		if err := compress(filepath.Join(m.Source, from), filepath.Join(scratch, name)); err != nil {
			return nil, fmt.Errorf("compressing %s: %w", from, err)
		}
		own = append(own, content{Source: filepath.Join(scratch, name), Target: "/usr/share/doc/splitvault/" + name, Info: info(0o644, m.Time)})
	}
	return own, nil
}
