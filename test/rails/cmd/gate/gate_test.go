package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/splitvault/splitvault/test/rails/orphans"
)

func TestWhatStaysBehindIsTold(t *testing.T) {
	if err := orphans.Adopt(); err != nil {
		t.Fatal(err)
	}
	before, err := look()
	if err != nil {
		t.Fatal(err)
	}
	tmp := t.TempDir()
	if left := leftBehind(before, tmp); len(left) != 0 {
		t.Fatalf("nothing was left behind, but it says %q", left)
	}
	if err := os.WriteFile(filepath.Join(tmp, "socket"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := exec.Command("sh", "-c", "setsid sleep 61 >/dev/null 2>&1 &").Run(); err != nil {
		t.Fatal(err)
	}
	before.mounts = before.mounts[1:] // as if that had been mounted meanwhile
	said := strings.Join(leftBehind(before, tmp), "\n")
	for _, want := range []string{"sleep 61", filepath.Join(tmp, "socket"), "mount /"} {
		if !strings.Contains(said, want) {
			t.Errorf("does not tell %q in:\n%s", want, said)
		}
	}
	for until := time.Now().Add(5 * time.Second); len(orphans.Descendants()) != 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("the process was told, but not ended")
		}
	}
}

func TestOnlyACompleteRunIsSuccessInCI(t *testing.T) {
	ok := result{name: "unit"}
	tests := []struct {
		name   string
		report report
		ci     bool
		code   int
		says   string
	}{
		{"complete", report{results: []result{ok}}, true, 0, "everything was run"},
		{"a failed step", report{results: []result{ok, {name: "lint", err: errors.New("exit status 1")}}}, false, 1, "FAILED"},
		{"a step without root, at home", report{results: []result{{name: "qubes", notRun: "needs root"}}}, false, 0, "NOT EVERYTHING WAS RUN"},
		{"a step without root, in CI", report{results: []result{{name: "qubes", notRun: "needs root"}}}, true, 1, "NOT EVERYTHING WAS RUN"},
		{"a skipped test, at home", report{results: []result{ok}, skipped: []string{"p.T: no gpg"}}, false, 0, "SKIPPED p.T: no gpg"},
		{"a skipped test, in CI", report{results: []result{ok}, skipped: []string{"p.T: no gpg"}}, true, 1, "counts as failed"},
		{"something left behind", report{results: []result{ok}, left: []string{"process 1: x"}}, false, 1, "LEFT BEHIND process 1: x"},
		{"interrupted", report{results: []result{ok}, interrupted: true}, false, 1, "INTERRUPTED"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			tt.report.ci = tt.ci
			if code := tt.report.print(&out); code != tt.code || !strings.Contains(out.String(), tt.says) {
				t.Errorf("exit %d, want %d, and %q in:\n%s", code, tt.code, tt.says, out.String())
			}
		})
	}
}
