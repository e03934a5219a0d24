package tarball

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestTheSameTreeGivesTheSameBytes(t *testing.T) {
	t.Parallel()
	var archives [][]byte
	for _, order := range [][]string{{"a", "b"}, {"b", "a"}} {
		tree := t.TempDir()
		for _, name := range order {
			if err := os.WriteFile(filepath.Join(tree, name), []byte(name), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chtimes(filepath.Join(tree, "a"), time.Now(), time.Unix(int64(len(archives)), 0)); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("a", filepath.Join(tree, "link")); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "x.tar.gz")
		if err := Write(path, tree, "x", time.Unix(1e9, 0)); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		archives = append(archives, b)
	}
	if !bytes.Equal(archives[0], archives[1]) {
		t.Error("the archives differ")
	}
	if got := names(t, archives[0]); got != "x/ x/a x/b x/link->a " {
		t.Errorf("it has %q", got)
	}
}

func names(t *testing.T, archive []byte) string {
	t.Helper()
	zip, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	all := ""
	for pack := tar.NewReader(zip); ; {
		h, err := pack.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Uid != 0 || h.Gid != 0 || h.Uname != "" || !h.ModTime.Equal(time.Unix(1e9, 0)) {
			t.Errorf("%s tells of the machine: %+v", h.Name, h)
		}
		if all += h.Name; h.Linkname != "" {
			all += "->" + h.Linkname
		}
		all += " "
	}
}
