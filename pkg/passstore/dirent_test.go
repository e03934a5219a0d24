package passstore

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func direntOf(name string, kind uint8, length int) []byte {
	b := make([]byte, nameAt, length)
	binary.NativeEndian.PutUint16(b[lengthAt:], uint16(length))
	b[kindAt] = kind
	return append(b, name...)[:length]
}

func TestADirectoryIsReadAsTheKernelWritesIt(t *testing.T) {
	t.Parallel()
	read := append(direntOf("a.gpg", unix.DT_REG, 32), direntOf("b", unix.DT_DIR, 24)...)
	one, rest, err := nextDirent(read)
	if string(one.name) != "a.gpg" || one.kind != unix.DT_REG || len(rest) != 24 || err != nil {
		t.Errorf("%q, %d, %d bytes, %v", one.name, one.kind, len(rest), err)
	}
	if one, rest, err = nextDirent(rest); string(one.name) != "b" || one.kind != unix.DT_DIR || len(rest) != 0 || err != nil {
		t.Errorf("%q, %d, %d bytes, %v", one.name, one.kind, len(rest), err)
	}
	for name, bad := range map[string][]byte{
		"cut short": direntOf("a", unix.DT_REG, 24)[:nameAt], "longer than what was read": direntOf("a", unix.DT_REG, 24)[:23],
		"no name": direntOf("", unix.DT_REG, 24), "no end": direntOf("aaaaa", unix.DT_REG, 24), "no length": make([]byte, 64),
	} {
		if one, rest, err := nextDirent(bad); !errors.Is(err, errDirent) {
			t.Errorf("%s: %q, %q, %v", name, one.name, rest, err)
		}
	}
}

// Some file systems leave the kind out (getdents(2)).
func TestAKindThatIsNotToldIsAskedFor(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	if err := errors.Join(os.Mkdir(filepath.Join(path, "dir"), 0o700), os.WriteFile(filepath.Join(path, "file"), nil, 0o600),
		os.Symlink("dir", filepath.Join(path, "link"))); err != nil {
		t.Fatal(err)
	}
	dir, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	for name, want := range map[string]uint8{"dir": unix.DT_DIR, "file": unix.DT_REG, "link": unix.DT_LNK, "gone": unix.DT_UNKNOWN} {
		if got := kindOf(fd(dir), name); got != want {
			t.Errorf("%s: %d, want %d", name, got, want)
		}
	}
}

// More than one system call gives.
func TestALongDirectoryIsReadToItsEnd(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	const n = 2000
	for i := range n {
		name := filepath.Join(path, strings.Repeat("n", 1+i%200)+"-"+string(rune('a'+i/200))+suffix)
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	store, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if names, odd, err := store.Names(t.Context(), ""); len(names) != n || odd != 0 || err != nil {
		t.Errorf("%d names, %d odd, %v", len(names), odd, err)
	}
}
