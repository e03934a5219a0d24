package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	goodRules = `[[ssh.rule]]
qube = "work"
users = ["git"]
hosts = ["git.example"]
decision = "allow"
rate = "30/min"
notify = true

[[ssh.rule]]
qube = "*"
keys = ["comment:shared"]
decision = "ask"
remember = "2m"
`
	knownGit = "git.example ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl\n"
)

// home makes a home directory with rules and known hosts, where given, and
// returns the path of the rules.
func home(t *testing.T, rulesText, knownHosts string) string {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("HOME", dir)
	t.Setenv("XDG_CONFIG_HOME", "")
	path := filepath.Join(dir, ".config/splitvault/rules.toml")
	for path, text := range map[string]string{path: rulesText, filepath.Join(dir, ".ssh/known_hosts"): knownHosts} {
		if text == "" {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// typed runs the command; it fails the test if the exit code is another.
func typed(t *testing.T, want int, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, errOut bytes.Buffer
	if got := run(args, &out, &errOut); got != want {
		t.Errorf("%v: got exit code %d, want %d\n%s%s", args, got, want, &out, &errOut)
	}
	return out.String(), errOut.String()
}

func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not in\n%s", part, text)
		}
	}
}

func TestRulesCheck(t *testing.T) {
	path := home(t, goodRules, knownGit)
	if out, _ := typed(t, 0, "rules", "check"); out != path+": 2 rules for ssh, no mistakes\n" {
		t.Errorf("got %q", out)
	}
	other := filepath.Join(t.TempDir(), "other.toml")
	if err := os.WriteFile(other, []byte(strings.ReplaceAll(goodRules, "git.example", "gone.example")+"remembr = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, _ := typed(t, 1, "rules", "check", other)
	contains(t, out, "error    "+other+`:14: unknown key "ssh.rule.remembr": a rule of [[ssh.rule]] has qube`, "is not in force for ssh: every request for that is denied")
	if err := os.WriteFile(other, []byte(strings.ReplaceAll(goodRules, "git.example", "gone.example")), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Chdir(filepath.Dir(other))
	out, _ = typed(t, 0, "rules", "check", "other.toml")
	contains(t, out, "warning  "+other+":4: this qube's known hosts have no key of gone.example", "no mistakes")
	_, errOut := typed(t, 2, "rules", "check", "nowhere.toml")
	contains(t, errOut, "there is no file")
}

func TestRulesCheckAsJSON(t *testing.T) {
	path := home(t, "[[ssh.rule]]\nqube = \"a\"\nkeys = []\ndecision = \"maybe\"\n", "")
	out, _ := typed(t, 1, "rules", "check", "--json")
	var got checked
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	if got.OK || got.File != path || len(got.Problems) != 1 || got.Problems[0].Line != 4 || got.Problems[0].Severity != "error" {
		t.Errorf("got %+v", got)
	}
	home(t, goodRules, "")
	out, _ = typed(t, 0, "rules", "check", "--json")
	got = checked{}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	if !got.OK || got.Rules != 2 || len(got.Problems) != 1 || got.Problems[0].Severity != "warning" || got.Problems[0].Hint == "" {
		t.Errorf("got %+v", got)
	}
}

func TestRulesCheckWithoutAFile(t *testing.T) {
	home(t, "", "")
	if _, err := os.Stat("/etc/splitvault/rules.toml"); err == nil {
		t.Skip("this machine has rules of its own")
	}
	out, _ := typed(t, 0, "rules", "check")
	contains(t, out, "there is no rules file")
	out, _ = typed(t, 0, "explain", "work", "ssh")
	contains(t, out, "work, ssh: login: ask (a yes may last 5m)", "decided by the built-in default")
	out, _ = typed(t, 0, "explain", "disp12", "ssh", "--purpose", "sshsig:git")
	contains(t, out, "ask (a yes is for once)")
	out, _ = typed(t, 0, "explain", "work", "ssh", "--purpose", "raw")
	contains(t, out, "raw: deny", "no rule matches")
}

func TestKnownHostsThatCannotBeReadAreReported(t *testing.T) {
	path := home(t, goodRules, "")
	if err := os.MkdirAll(filepath.Join(filepath.Dir(path), "../../.ssh/known_hosts"), 0o700); err != nil {
		t.Fatal(err)
	}
	out, _ := typed(t, 0, "rules", "check")
	contains(t, out, "warning  ", "no host is believed", "not a regular file")
	out, _ = typed(t, 0, "explain", "work", "ssh", "--user", "git", "--host", "git.example")
	contains(t, out, "no host is believed here")
}

func TestExplain(t *testing.T) {
	path := home(t, goodRules, knownGit)
	for _, row := range []struct {
		name string
		args []string
		want []string
	}{
		{"the first rule", []string{"--user", "git", "--host", "Git.Example"}, []string{
			`work, ssh: login as "git" at git.example: allow, up to 30/min, then ask (a yes may last 5m), with a notification`,
			"decided by " + path + ":1:\n    [[ssh.rule]]\n    qube = \"work\"\n",
		}},
		{"a later rule", []string{"--user", "git", "--key", "shared"}, []string{
			`login as "git" with the key "shared": ask (a yes may last 2m)`, "decided by " + path + ":9:",
			"not matched before:\n  line 1: it is for the hosts git.example, and the destination is not known\n", "note: no host was given",
		}},
		{"no rule", nil, []string{"login: deny", "no rule matches", "line 1: it is for the users git", "line 9: it is for other keys", "note: no key was given", "note: no user was given"}},
		{"a host that this vault does not know", []string{"--host", "gone"}, []string{"note: this qube's known hosts have no key of gone"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			out, _ := typed(t, 0, append([]string{"explain", "work", "ssh"}, row.args...)...)
			contains(t, out, row.want...)
		})
	}
	out, _ := typed(t, 0, "explain", "work", "ssh", "--user", "git", "--host", "git.example", "--json")
	var got explanation
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	if got.Decision != "allow" || got.Rule == nil || got.Rule.Line != 1 || got.File != path || got.Rate != "30/min" || !got.Notify || got.Before != nil {
		t.Errorf("got %+v", got)
	}
}

func TestExplainWithMistakesInTheRules(t *testing.T) {
	home(t, goodRules+"[shh]\nx = 1\n", "")
	out, _ := typed(t, 1, "explain", "work", "ssh")
	contains(t, out, "login: deny", "the rules have a mistake", ":14: unknown key")
	out, _ = typed(t, 1, "explain", "work", "ssh", "--json")
	contains(t, out, `"decision": "deny"`, `"line": 14`)
}

func TestExplainTakesNoNonsense(t *testing.T) {
	home(t, goodRules, "")
	for _, row := range []struct {
		args []string
		want string
	}{
		{[]string{"work"}, "accepts 2 arg(s)"},
		{[]string{"@tag:x", "ssh"}, "not a valid name"},
		{[]string{"work", "smtp"}, `no rules for the service "smtp"`},
		{[]string{"work", "ssh", "--agent", "a/b"}, "agent names are"},
		{[]string{"work", "ssh", "--purpose", "sshsig"}, "needs a namespace"},
		{[]string{"work", "ssh", "--purpose", "sshsig:git", "--host", "a"}, "nothing else has them"},
		{[]string{"work", "ssh", "--host", "*.x"}, "is no host"},
		{[]string{"work", "ssh", "--host", "a b"}, "is no host"},
	} {
		out, errOut := typed(t, 2, append([]string{"explain"}, row.args...)...)
		contains(t, errOut, row.want)
		if out != "" {
			t.Errorf("%v prints %q", row.args, out)
		}
	}
}
