package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
)

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"1"}, {"", "x"}, {"../1", "x"}} {
		if code := run(args, io.Discard, io.Discard); code != 2 {
			t.Errorf("%q: exit code %d", args, code)
		}
	}
}

// Who builds a release elsewhere gets the same programs: nothing tells in which
// directory the source was. The archive around them has a test of its own.
func TestProgramsAreTheSameFromAnotherDirectory(t *testing.T) {
	t.Parallel()
	const source = "../../../.."
	var programs [][]byte
	for _, name := range []string{"one", "another/and longer"} {
		dir := filepath.Join(t.TempDir(), name)
		for _, part := range []string{"pkg", "daemons/clef-net"} {
			if err := os.CopyFS(filepath.Join(dir, part), os.DirFS(filepath.Join(source, part))); err != nil {
				t.Fatal(err)
			}
		}
		for _, file := range []string{"go.mod", "go.sum"} {
			text, err := os.ReadFile(filepath.Join(source, file))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, file), text, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		to := t.TempDir()
		if err := compile(t.Context(), dir, "1.0", "./daemons/clef-net", to, targets()["amd64"]); err != nil {
			t.Fatal(err)
		}
		program, err := os.ReadFile(filepath.Join(to, "clef-net"))
		if err != nil {
			t.Fatal(err)
		}
		programs = append(programs, program)
	}
	if !bytes.Equal(programs[0], programs[1]) {
		t.Errorf("programs of %d and %d bytes differ", len(programs[0]), len(programs[1]))
	}
}
