package policy

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const allowVault, denyVault = "svc * work vault allow\n", "svc * work vault deny\n"

// judgeDirs loads the directories and evaluates work → vault, service svc.
func judgeDirs(t *testing.T, dirs ...string) (Verdict, error) {
	t.Helper()
	p, err := Load(dirs...)
	return p.Evaluate(vectorSystem(), Request{"work", "vault", "svc", "+"}), err
}

func TestFilesAreSortedByNameInCOrder(t *testing.T) {
	for _, row := range []struct{ allow, deny, want string }{
		{"30-splitvault.policy", "80-splitvault.policy", "allow vault"},
		{"80-splitvault.policy", "30-user.policy", "deny N"},
		{"100-x.policy", "30-x.policy", "allow vault"},   // text, not numbers
		{"30-a.policy", "30_a.policy", "allow vault"},    // - sorts before _
		{"a.policy", "90-a.policy", "deny N"},            // digits before letters
		{"30-user.policy", "30-user-x.policy", "deny N"}, // - sorts before .
	} {
		v, err := judgeDirs(t, writeDir(t, map[string]string{row.allow: allowVault, row.deny: denyVault}))
		if err != nil || show(v) != row.want {
			t.Errorf("allow in %s, deny in %s: got %s, %v; want %s", row.allow, row.deny, show(v), err, row.want)
		}
	}
}

func TestRunReplacesTheSameNameInEtc(t *testing.T) {
	etc := writeDir(t, map[string]string{"30-user.policy": allowVault})
	run := writeDir(t, map[string]string{"30-user.policy": denyVault})
	if v, err := judgeDirs(t, etc, run); err != nil || show(v) != "deny N" {
		t.Errorf("same name: got %s, %v", show(v), err)
	}
	empty := writeDir(t, map[string]string{"30-user.policy": "# nothing\n"})
	if v, err := judgeDirs(t, etc, empty); err != nil || v.Rule != "" {
		t.Errorf("replaced by an empty file: got %+v, %v", v, err)
	}
	other := writeDir(t, map[string]string{"25-run.policy": denyVault})
	if v, err := judgeDirs(t, etc, other); err != nil || show(v) != "deny N" {
		t.Errorf("one order over both directories: got %s, %v", show(v), err)
	}
}

func TestFilesThatAreNoPolicyAreIgnored(t *testing.T) {
	dir := writeDir(t, map[string]string{
		"30-user.policy": allowVault, "20-user.policy.rpmsave": "rubbish", "20-user.conf": "rubbish",
		"20-user": "rubbish", "20-user.policy~": "rubbish", ".BAD.policy": "rubbish", "README": "Rubbish",
		"include/x": "rubbish",
	})
	if err := os.Mkdir(filepath.Join(dir, "20-DIR.policy"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "10-gone.policy")); err != nil {
		t.Fatal(err)
	}
	if v, err := judgeDirs(t, dir); err != nil || show(v) != "allow vault" {
		t.Errorf("got %s, %v", show(v), err)
	}
}

func TestOneBadFileRefusesEverything(t *testing.T) {
	good := map[string]string{"10-good.policy": allowVault}
	for name, bad := range map[string]map[string]string{
		"capital in a file name":        {"30-User.policy": "# fine\n"},
		"space in a file name":          {"30 user.policy": "# fine\n"},
		"accent in a file name":         {"30-usér.policy": "# fine\n"},
		"syntax error":                  {"90-last.policy": "svc * work vault allow # mine\n"},
		"missing include":               {"90-last.policy": "!include include/gone\n"},
		"missing include-dir":           {"90-last.policy": "!include-dir gone.d\n"},
		"missing include-service":       {"90-last.policy": "!include-service svc * include/gone\n"},
		"directory where a file is due": {"90-last.policy": "!include include\n", "include/x": ""},
		"file where a directory is due": {"90-last.policy": "!include-dir include/x\n", "include/x": ""},
		"error in an included file":     {"90-last.policy": "!include include/x\n", "include/x": "rubbish\n"},
		"bad name in an included dir":   {"90-last.policy": "!include-dir inc.d\n", "inc.d/X.policy": ""},
		"a file that includes itself":   {"90-last.policy": "!include 90-last.policy\n"},
		"!compat-4.0":                   {"35-compat.policy": "!compat-4.0\n"},
		"not UTF-8":                     {"90-last.policy": "# \xff\n"},
		"larger than we read":           {"90-last.policy": strings.Repeat("# comment\n", maxPolicyBytes/10+1)},
	} {
		t.Run(name, func(t *testing.T) {
			files := map[string]string{}
			maps.Copy(files, good)
			maps.Copy(files, bad)
			dir := writeDir(t, files)
			v, err := judgeDirs(t, dir)
			if err == nil || show(v) != "deny n" {
				t.Fatalf("got %s, %v", show(v), err)
			}
			finding, ok := errors.AsType[*Finding](err)
			if !ok || !strings.HasPrefix(finding.File, dir) {
				t.Errorf("error does not name the file: %v", err)
			}
			if findings := Lint(dir); len(findings) == 0 {
				t.Error("lint finds nothing in it")
			}
		})
	}
}

func TestABadNameCountsEvenIfRunReplacesIt(t *testing.T) {
	bad := writeDir(t, map[string]string{"30-User.policy": "# fine\n"})
	if v, err := judgeDirs(t, bad, writeDir(t, map[string]string{"30-User.policy": allowVault})); err == nil || v.Action != Deny {
		t.Errorf("got %s, %v", show(v), err)
	}
}

func TestADirectoryThatCannotBeReadRefusesEverything(t *testing.T) {
	good := writeDir(t, map[string]string{"30-user.policy": allowVault})
	if v, err := judgeDirs(t, good, filepath.Join(good, "gone")); err == nil || show(v) != "deny n" {
		t.Errorf("got %s, %v", show(v), err)
	}
}

func TestIncludesStandWhereTheyAreWritten(t *testing.T) {
	dir := writeDir(t, map[string]string{
		"30-user.policy":     "svc +a work vault deny notify=no\n!include include/one\nsvc * work vault deny\n",
		"include/one":        "!include include/two\n!include-service svc +c include/old\n!include-dir more.d\n",
		"include/two":        "svc +b work vault allow user=two\n", // relative to the policy directory, also when nested
		"include/old":        "work vault allow,user=old\n$include:include/older\n",
		"include/older":      "work disp12 allow\n",
		"more.d/20-d.policy": "svc +d work vault deny\n",
		"more.d/10-d.policy": "svc +d work vault allow user=ten\n",
		"more.d/BAD":         "ignored",
	})
	p, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	for argument, want := range map[string]string{
		"+a": "deny n", "+b": "allow vault user=two", "+c": "allow vault user=old", "+d": "allow vault user=ten", "+e": "deny N",
	} {
		v := p.Evaluate(vectorSystem(), Request{"work", "vault", "svc", argument})
		if show(v) != want {
			t.Errorf("%s: got %s (%s), want %s", argument, show(v), v.Rule, want)
		}
	}
	if v := p.Evaluate(vectorSystem(), Request{"work", "disp12", "svc", "+c"}); show(v) != "allow disp12" || !strings.HasSuffix(v.Rule, "include/older:1") {
		t.Errorf("nested old-style include: got %s by %s", show(v), v.Rule)
	}
}

func TestAnIncludeIsRelativeToTheDirectoryItsFileCameFrom(t *testing.T) {
	etc := writeDir(t, map[string]string{"30-user.policy": "!include include/x\n", "include/x": allowVault})
	run := writeDir(t, map[string]string{"31-user.policy": "!include include/x\n", "include/x": denyVault})
	if v, err := judgeDirs(t, etc, run); err != nil || show(v) != "allow vault" {
		t.Errorf("got %s, %v", show(v), err)
	}
}

func TestLoadSystem(t *testing.T) {
	dir := t.TempDir()
	load := func(text string) (System, error) {
		path := filepath.Join(dir, "qubes.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return LoadSystem(path)
	}
	sys, err := load(`{"qubes":{"dom0":{"type":"AdminVM"},"work":{"type":"AppVM","tags":["a"],"default_dispvm":"work","guivm":"dom0","running":true}}}`)
	if err != nil || sys.Qubes["work"].Name != "work" || !sys.Qubes["work"].Running || sys.Qubes["work"].GuiVM != "dom0" {
		t.Fatalf("got %+v, %v", sys, err)
	}
	for name, text := range map[string]string{
		"no dom0":          `{"qubes":{"work":{"type":"AppVM"}}}`,
		"unknown key":      `{"qubes":{"dom0":{"typ":"AdminVM"}}}`,
		"two values":       `{"qubes":{"dom0":{"type":"AdminVM"}}} {}`,
		"another name":     `{"qubes":{"dom0":{"name":"dom1"}}}`,
		"impossible name":  `{"qubes":{"dom0":{},"a b":{}}}`,
		"no UUID":          `{"qubes":{"dom0":{},"a":{"uuid":"x"}}}`,
		"dangling guivm":   `{"qubes":{"dom0":{},"a":{"guivm":"gone"}}}`,
		"dangling dispvm":  `{"qubes":{"dom0":{},"a":{"default_dispvm":"gone"}}}`,
		"empty":            ``,
		"larger than read": strings.Repeat(" ", maxSystemBytes+1),
	} {
		if sys, err := load(text); err == nil {
			t.Errorf("%s: accepted as %+v", name, sys)
		}
	}
	if _, err := LoadSystem(filepath.Join(dir, "gone")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}
