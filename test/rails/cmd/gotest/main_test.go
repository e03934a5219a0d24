package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// module writes a Go module with one test file and makes it the directory of
// this test.
func module(t *testing.T, body string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":    "module example.org/m\n\ngo 1.26.0\n",
		"m_test.go": "package m\n\nimport \"testing\"\n\n" + body,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
}

func TestGoTestResults(t *testing.T) {
	const (
		passing = "func TestGood(t *testing.T) { t.Log(\"quiet\") }\n"
		failing = "func TestBad(t *testing.T) { t.Error(\"the cause\") }\n"
		skipped = "func TestSkipped(t *testing.T) { t.Run(\"deep\", func(t *testing.T) { t.Skip(\"needs root\") }) }\n"
		noting  = "func TestNotes(t *testing.T) { t.Attr(\"note\", \"only half of it\") }\n"
		dying   = "func TestDies(t *testing.T) { panic(\"the end\") }\n"
	)
	tests := []struct {
		name, body, ci string
		code           int
		says, saysNot  string
	}{
		{"passing prints only the package's line", passing, "1", 0, "ok  \texample.org/m", "quiet"},
		{"failing prints its output", passing + failing, "", 1, "the cause", "quiet"},
		{"a panic's words are not lost", passing + dying, "", 1, "the end", "quiet"},
		{"a build error's words are not lost", "func TestX() {\n", "", 1, "m_test.go:5", "ok"},
		{"a note of a test that passes is told", passing + noting, "true", 0, "NOTE example.org/m.TestNotes: only half of it", "quiet"},
		{"a skip is told", passing + skipped, "", 0, "SKIPPED example.org/m.TestSkipped/deep: m_test.go:6: needs root", "counts as failed"},
		{"a skip fails in CI", passing + skipped, "true", 1, "needs root", "quiet"},
		{"no test at all fails", "var _ testing.T\n", "", 1, "no test ran", "quiet"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			module(t, tt.body)
			noted := filepath.Join(t.TempDir(), "noted")
			t.Setenv("RAILS_SKIPPED", noted)
			t.Setenv("CI", tt.ci)
			var stdout, stderr bytes.Buffer
			code := run([]string{"-count=1", "./..."}, &stdout, &stderr)
			out := stdout.String() + stderr.String()
			if code != tt.code {
				t.Errorf("exit %d, want %d", code, tt.code)
			}
			if !strings.Contains(out, tt.says) || strings.Contains(out, tt.saysNot) {
				t.Errorf("want %q and not %q in:\n%s", tt.says, tt.saysNot, out)
			}
			lines, _ := os.ReadFile(noted)
			if strings.Contains(tt.body, "t.Skip") != bytes.Contains(lines, []byte("needs root")) {
				t.Errorf("noted for the gate: %q", lines)
			}
		})
	}
}
