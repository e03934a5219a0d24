package passtree

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func draw(t *testing.T, title string, names ...string) string {
	t.Helper()
	var b strings.Builder
	if err := Draw(&b, title, names, false); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTheTreeLooksAsPassHasIt(t *testing.T) {
	t.Parallel()
	want := `Password Store
├── a
│   ├── b
│   │   └── c
│   └── d
├── a
└── ä ö
`
	if got := draw(t, "Password Store", "a/b/c", "a/d", "a", "ä ö"); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if got := draw(t, "Password Store"); got != "Password Store\n" {
		t.Errorf("an empty store is %q", got)
	}
}

// The tree of the program that pass calls, of the same files.
func TestTheTreeIsTheOneOfTree(t *testing.T) {
	t.Parallel()
	tree, err := exec.LookPath("tree")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	dir := t.TempDir()
	names := []string{"github.com", "work/example.com/alice", "work/example.com/bob", "work/x", "z/deep/er/y", "spaces/a  b c"}
	for _, name := range names {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(tree, "-N", "-n", "--noreport", "--charset=UTF-8", dir)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	want := strings.ReplaceAll(string(out), "\u00a0", " ")
	if got := draw(t, dir, names...); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// Names that would take over a terminal.
func TestAttackNamesDoNothingToTheTerminal(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain name/münchen 東京 👩\u200d💻": "plain name/münchen 東京 👩\u200d💻",
		"\x1b]0;PWNED\x07":               `\x1b]0;PWNED\x07`,
		"\u009b31m":                      `\xc2\x9b31m`,
		"a\nb\tc\rd":                     `a\x0ab\x09c\x0dd`,
		"gpj\u202eexe":                   `gpj\xe2\x80\xaeexe`,
		"-c\xff":                         `-c\xff`,
		"\xe2\x80":                       `\xe2\x80`,
		"\ufffd":                         "\ufffd",
		"a\u2028b":                       `a\xe2\x80\xa8b`,
	} {
		if got := Escape(in); got != want {
			t.Errorf("Escape(%q) = %q, want %q", in, got, want)
		}
	}
	if got := EscapeLines("a\n\tb\r\x1b"); got != "a\n\tb"+`\x0d\x1b` {
		t.Errorf("got %q", got)
	}
	if got := draw(t, "\x1b[2J", "\x1b]0;x\x07/\u202ey"); strings.ContainsAny(got, "\x1b\x07\u202e") {
		t.Errorf("got %q", got)
	}
}
