package audit_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/splitvault/splitvault/pkg/audit"
)

func names(t *testing.T, p place) string {
	t.Helper()
	entries, err := os.ReadDir(p.state())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

const (
	allFiles = "audit.1.jsonl audit.2.jsonl audit.3.jsonl audit.4.jsonl audit.jsonl"
	small    = 4000
)

func TestRotationKeepsFourFilesAndTheChain(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	for range 10 {
		log := p.open(t, audit.Options{Cap: small})
		record(t, log, 20)
		log.Close()
	}
	if got := names(t, p); got != allFiles {
		t.Errorf("files are %s", got)
	}
	v := p.whole(t)
	if v.First == 1 || v.Last != 210 {
		t.Errorf("lines %d to %d", v.First, v.Last)
	}
	info, err := os.Stat(audit.Path(p.state(), 4))
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

// A guard that serves a long call cannot open anything: it goes on in the same
// file after others rotated.
func TestALongCallSurvivesRotations(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	long := p.open(t, audit.Options{Cap: small})
	for range 4 {
		record(t, long, 3)
		log := p.open(t, audit.Options{Cap: small})
		record(t, log, 20)
		log.Close()
		record(t, long, 3)
	}
	if v := p.whole(t); v.Lines != 4*26+4 || v.Files != 4 {
		t.Errorf("%d lines in %d files", v.Lines, v.Files)
	}
}

func TestRotationUnderManyWriters(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	const processes, calls, lines = 6, 5, 8
	var running sync.WaitGroup
	for range processes {
		running.Go(func() {
			for range calls {
				cmd, out := p.writer(t, fmt.Sprint("LINES=", lines), fmt.Sprint("CAP=", 10*small))
				if err := cmd.Run(); err != nil || out.String() != "failed 0\n" {
					t.Errorf("%v: %s", err, out)
				}
			}
		})
	}
	running.Wait()
	v := p.whole(t)
	if v.First != 1 || v.Files < 2 || v.Lines != processes*calls*lines+v.Files {
		t.Errorf("%d lines from %d, in %d files", v.Lines, v.First, v.Files)
	}
}

// A rotation that was killed at any step is taken up by the next one.
func TestInterruptedRotations(t *testing.T) {
	t.Parallel()
	for name, interrupt := range map[string]func(t *testing.T, p place){
		"while copying": func(t *testing.T, p place) {
			content := p.content(t)
			if err := os.WriteFile(filepath.Join(p.state(), "audit.rotating"), content[:len(content)/2], 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"before the file was emptied": func(t *testing.T, p place) {
			if err := os.WriteFile(audit.Path(p.state(), 1), p.content(t), 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"before the file was emptied, and others went on": func(t *testing.T, p place) {
			if err := os.WriteFile(audit.Path(p.state(), 1), p.content(t), 0o600); err != nil {
				t.Fatal(err)
			}
			record(t, p.open(t, audit.Options{}), 5)
		},
		"after the file was emptied": func(t *testing.T, p place) {
			if err := os.WriteFile(audit.Path(p.state(), 1), p.content(t), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(p.newest(), 0); err != nil {
				t.Fatal(err)
			}
		},
		"in the middle of the first line": func(t *testing.T, p place) {
			if err := os.WriteFile(audit.Path(p.state(), 1), p.content(t), 0o600); err != nil {
				t.Fatal(err)
			}
			record(t, p.open(t, audit.Options{}), 0)
			if err := os.Truncate(p.newest(), 0); err != nil {
				t.Fatal(err)
			}
		},
		"between two renames": func(t *testing.T, p place) {
			if err := os.Rename(audit.Path(p.state(), 1), audit.Path(p.state(), 2)); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			if name == "between two renames" {
				record(t, p.open(t, audit.Options{Cap: small}), 20)
			}
			log := p.open(t, audit.Options{Cap: small})
			record(t, log, 20)
			log.Close()
			before := p.whole(t)
			interrupt(t, p)
			for range 2 {
				log := p.open(t, audit.Options{Cap: small})
				record(t, log, 20)
				log.Close()
			}
			if v := p.whole(t); v.First != 1 || v.Lines < before.Lines+40 {
				t.Errorf("%d lines from %d", v.Lines, v.First)
			}
			if strings.Contains(names(t, p), "rotating") {
				t.Errorf("files are %s", names(t, p))
			}
		})
	}
}

// A file without any line cannot be chained to: it is put aside, and that shows.
func TestAFileOfGarbageIsPutAside(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	record(t, p.open(t, audit.Options{}), 3)
	garbage := bytes.Repeat([]byte("garbage\n"), 100)
	p.overwrite(t, garbage)
	record(t, p.open(t, audit.Options{}), 3)
	if got, err := os.ReadFile(audit.Path(p.state(), 1)); err != nil || !bytes.Equal(got, garbage) {
		t.Errorf("%v: it is not there any more", err)
	}
	if v := p.verify(t); len(v.Problems) != 1 || v.Lines != 4 {
		t.Errorf("%d lines, problems %v", v.Lines, v.Problems)
	}
}
