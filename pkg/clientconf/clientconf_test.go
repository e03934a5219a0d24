package clientconf

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/splitvault/splitvault/pkg/origin"
)

func TestOnlyTheOriginsInTheFileAreAllowed(t *testing.T) {
	t.Parallel()
	c, err := Parse([]byte("[clef]\norigins = [\"https://app.example.org\", \"http://localhost:3000\", \"chrome-extension://abcdefghijklmnop\"]\n"))
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{
		"https://app.example.org":             true,
		"http://localhost:3000":               true,
		"chrome-extension://abcdefghijklmnop": true,
		"https://app.example.org:443":         false,
		"https://APP.example.org":             false,
		"https://app.example.org/":            false,
		"http://app.example.org":              false,
		"https://app.example.org.evil":        false,
		"http://localhost":                    false,
		"null":                                false,
		"":                                    false,
	} {
		if got := c.Allows(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestAMistakeAllowsNobody(t *testing.T) {
	t.Parallel()
	for text, says := range map[string]string{
		"[clef]\norigins = [\"https://good.example\", \"*\"]\n": `"*"`,
		"[clef]\norigins = [\"null\"]\n":                        `"null"`,
		"[clef]\norigins = [\"https://a.example/\"]\n":          `"https://a.example/"`,
		"[clef]\norigins = [\"https://A.example\"]\n":           "A.example",
		"[clef]\norigins = [\"https://a.example:443\"]\n":       ":443",
		"[clef]\norigins = \"https://a.example\"\n":             "line 2",
		"[clef]\norigin = [\"https://a.example\"]\n":            `line 2: unknown key "clef.origin"`,
		"[ssh]\n":                 `unknown key "ssh"`,
		"[clef\n":                 "line 1",
		"[clef]\norigins = [1]\n": "line 2",
		"[clef]\norigins = [" + strings.Repeat(`"a://b",`, 1001) + "]\n": "more than 1000",
	} {
		if c, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%.60q: %+v, %v, want %q", text, c, err, says)
		}
	}
}

func TestTheFirstFileThatExistsCounts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	own, system := filepath.Join(dir, "own"), filepath.Join(dir, "system")
	put := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if c, err := Load(own, system); err != nil || c.Path != "" || len(c.Origins) != 0 {
		t.Errorf("no file: %+v, %v", c, err)
	}
	put(system, "[clef]\norigins = [\"https://system.example\"]\n")
	if c, err := Load(own, system); err != nil || !slices.Equal(c.Origins, []origin.Origin{"https://system.example"}) {
		t.Errorf("the template's: %+v, %v", c, err)
	}
	put(own, "")
	if c, err := Load(own, system); err != nil || c.Path != own || len(c.Origins) != 0 {
		t.Errorf("an empty one of the user: %+v, %v", c, err)
	}
	put(own, "[clef")
	if c, err := Load(own, system); err == nil || !strings.Contains(err.Error(), own) {
		t.Errorf("a broken one of the user: %+v, %v", c, err)
	}
	if err := os.Remove(own); err != nil {
		t.Fatal(err)
	}
	for name, put := range map[string]func() error{
		"a link to nothing": func() error { return os.Symlink(filepath.Join(dir, "gone"), own) },
		"a FIFO":            func() error { return unix.Mkfifo(own, 0o600) },
		"a directory":       func() error { return os.Mkdir(own, 0o700) },
		"too long":          func() error { return os.WriteFile(own, make([]byte, maxFile+1), 0o600) },
	} {
		if err := put(); err != nil {
			t.Fatal(err)
		}
		if c, err := Load(own, system); err == nil {
			t.Errorf("%s: %+v", name, c)
		}
		if err := os.Remove(own); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPaths(t *testing.T) {
	t.Parallel()
	env := map[string]string{"HOME": "/home/user"}
	if got := Paths(func(k string) string { return env[k] }); !slices.Equal(got, []string{"/home/user/.config/splitvault/client.toml", SystemFile}) {
		t.Errorf("%q", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("[clef]\norigins = [\"https://app.example.org\"]\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := Parse(text)
		if err != nil {
			return
		}
		for _, o := range c.Origins {
			if again, err := origin.Parse(string(o)); err != nil || again != o || !c.Allows(string(o)) {
				t.Errorf("%q: %v", o, err)
			}
		}
	})
}

func TestTheShippedExampleIsRight(t *testing.T) {
	t.Parallel()
	if _, err := Load("../../templatevm/usr/share/doc/splitvault/examples/client.toml"); err == nil {
		t.Fatal("a relative path is none") // as of a home that is not known
	}
	text, err := os.ReadFile("../../templatevm/usr/share/doc/splitvault/examples/client.toml")
	if err != nil {
		t.Fatal(err)
	}
	if c, err := Parse(text); err != nil || len(c.Origins) != 3 {
		t.Errorf("%+v, %v", c, err)
	}
}
