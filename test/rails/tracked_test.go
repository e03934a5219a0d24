package rails

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A program among the sources could be read by nobody, and each clone would have it.
func TestNoBuiltProgramIsTracked(t *testing.T) {
	t.Parallel()
	const root = "../.."
	out, err := exec.CommandContext(t.Context(), "git", "-C", root, "ls-files", "-z").Output()
	if err != nil {
		t.Fatal(err)
	}
	names := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	if len(names) < 100 {
		t.Fatalf("git knows of %d files", len(names))
	}
	for _, name := range names {
		path := filepath.Join(root, name)
		info, err := os.Lstat(path)
		if err != nil || !info.Mode().IsRegular() {
			continue // removed, or a link
		}
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		start, err := io.ReadAll(io.LimitReader(file, 4))
		file.Close()
		if err != nil || bytes.Equal(start, []byte("\x7fELF")) {
			t.Errorf("%s is a program, or cannot be read: %v", name, err)
		}
	}
}
