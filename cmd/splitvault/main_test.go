package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestUsage(t *testing.T) {
	for _, row := range []struct {
		name           string
		args           []string
		want           int
		stdout, stderr string
	}{
		{"help", []string{"--help"}, 0, "doctor", ""},
		{"short help", []string{"doctor", "-h"}, 0, "Exit code:", ""},
		{"version", []string{"--version"}, 0, "splitvault ", ""},
		{"no command", nil, 0, "doctor", ""},
		{"unknown command", []string{"docter"}, 2, "", `unknown command "docter"`},
		{"unknown flag", []string{"doctor", "--jsno"}, 2, "", "--jsno"},
		{"argument", []string{"doctor", "work"}, 2, "", `"work"`},
	} {
		t.Run(row.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if got := run(row.args, &stdout, &stderr); got != row.want {
				t.Errorf("got exit code %d, want %d", got, row.want)
			}
			for _, out := range []struct{ got, want string }{{stdout.String(), row.stdout}, {stderr.String(), row.stderr}} {
				if !strings.Contains(out.got, out.want) || out.want == "" && out.got != "" {
					t.Errorf("got %q, want %q in it", out.got, out.want)
				}
			}
		})
	}
}

// TestDoctorOutsideQubes: exit code 2 is "cannot tell", in both forms.
func TestDoctorOutsideQubes(t *testing.T) {
	if _, err := os.Stat("/usr/share/qubes/marker-vm"); err == nil {
		t.Skip("this is a qube")
	}
	var text, jsonText, stderr bytes.Buffer
	if got := run([]string{"doctor"}, &text, &stderr); got != 2 || !strings.Contains(text.String(), "no qube of Qubes OS") {
		t.Errorf("got exit code %d\n%s", got, &text)
	}
	if got := run([]string{"doctor", "--json"}, &jsonText, &stderr); got != 2 {
		t.Errorf("got exit code %d", got)
	}
	var report struct{ Status string }
	if err := json.Unmarshal(jsonText.Bytes(), &report); err != nil || report.Status != "unknown" {
		t.Errorf("got %v, %v\n%s", report, err, &jsonText)
	}
	if stderr.Len() != 0 {
		t.Errorf("got %q on standard error", &stderr)
	}
}

// TestShippedCompletions keeps the files that are installed the same as what
// this version of cobra writes. To renew them: UPDATE=1 go test ./cmd/splitvault
func TestShippedCompletions(t *testing.T) {
	root := newRoot()
	for path, write := range map[string]func(*bytes.Buffer) error{
		"bash-completion/completions/splitvault":    func(b *bytes.Buffer) error { return root.GenBashCompletionV2(b, true) },
		"zsh/site-functions/_splitvault":            func(b *bytes.Buffer) error { return root.GenZshCompletion(b) },
		"fish/vendor_completions.d/splitvault.fish": func(b *bytes.Buffer) error { return root.GenFishCompletion(b, true) },
	} {
		var want bytes.Buffer
		if err := write(&want); err != nil {
			t.Fatal(err)
		}
		path = filepath.Join("../../templatevm/usr/share", path)
		if os.Getenv("UPDATE") != "" {
			if err := os.WriteFile(path, want.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want.Bytes()) {
			t.Errorf("%s is not what cobra writes: UPDATE=1 go test ./cmd/splitvault", path)
		}
	}
}

// TestCompletion: what the shells ask, answered.
func TestCompletion(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if got := run([]string{"__complete", "doctor", "--j"}, &stdout, &stderr); got != 0 || !strings.Contains(stdout.String(), "--json") {
		t.Errorf("got exit code %d, %q", got, &stdout)
	}
}
