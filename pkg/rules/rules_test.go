package rules

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const fp1 = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

func parse(t *testing.T, text string) *File {
	t.Helper()
	f, err := Parse("rules.toml", []byte(text))
	if err != nil {
		t.Fatalf("parse: %v", err)
	}
	return f
}

func TestFirstMatchDecides(t *testing.T) {
	t.Parallel()
	f := parse(t, `
[ssh.agents]
card = "%t/gnupg/S.gpg-agent.ssh"
both = ["/run/a", "~/b"]

[[ssh.rule]]
qube = "work"
keys = ["`+fp1+`"]
purpose = ["raw"]
decision = "deny"

[[ssh.rule]]
qube = "work*"
agent = "card"
decision = "allow"

[[ssh.rule]]
qube = "work"
agent = ""
keys = ["comment:git@*", "`+fp1+`"]
purpose = ["sshsig:git", "login"]
decision = "ask"

[[ssh.rule]]
qube = "disp*"
purpose = ["sshsig:*", "forwarded-login"]
decision = "allow"
`)
	for _, row := range []struct {
		name string
		req  SSHRequest
		want Decision
		rule string
	}{
		{"no rule for the qube", SSHRequest{Qube: "personal", Purpose: "login"}, Deny, "no rule matches"},
		{"a deny for one purpose", SSHRequest{Qube: "work", Fingerprints: []string{fp1}, Purpose: "raw"}, Deny, "rules.toml:6"},
		{"agent named", SSHRequest{Qube: "work-2", Agent: "card", Purpose: "login"}, Allow, "rules.toml:12"},
		{"login and sshsig are the default purposes", SSHRequest{Qube: "work-2", Agent: "card", Purpose: "sshsig:file"}, Allow, "rules.toml:12"},
		{"forwarded login must be named", SSHRequest{Qube: "work-2", Agent: "card", Purpose: "forwarded-login"}, Deny, "no rule matches"},
		{"certificates must be named", SSHRequest{Qube: "work-2", Agent: "card", Purpose: "certificate"}, Deny, "no rule matches"},
		{"raw must be named", SSHRequest{Qube: "work-2", Agent: "card", Purpose: "raw"}, Deny, "no rule matches"},
		{"host key use must be named", SSHRequest{Qube: "work-2", Agent: "card", Purpose: "hostkey"}, Deny, "no rule matches"},
		{"key by comment", SSHRequest{Qube: "work", Comment: "git@laptop", Purpose: "login"}, Ask, "rules.toml:17"},
		{"key by fingerprint", SSHRequest{Qube: "work", Fingerprints: []string{"SHA256:x", fp1}, Purpose: "login"}, Ask, "rules.toml:17"},
		{"other key", SSHRequest{Qube: "work", Comment: "x", Fingerprints: []string{"SHA256:x"}, Purpose: "login"}, Deny, "no rule matches"},
		{"namespace by name", SSHRequest{Qube: "work", Comment: "git@", Purpose: "sshsig:git"}, Ask, "rules.toml:17"},
		{"other namespace", SSHRequest{Qube: "work", Comment: "git@", Purpose: "sshsig:gitx"}, Deny, "no rule matches"},
		{"any namespace", SSHRequest{Qube: "disp12", Purpose: "sshsig:whatever"}, Allow, "rules.toml:24"},
		{"named purposes replace the default", SSHRequest{Qube: "disp12", Purpose: "login"}, Deny, "no rule matches"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			got := f.SSH.Judge(row.req)
			if got.Decision != row.want || got.Rule != row.rule {
				t.Errorf("got %v by %q, want %v by %q", got.Decision, got.Rule, row.want, row.rule)
			}
		})
	}
	if got := f.SSH.Agents["both"].Expand("/run/user/1000", "/home/user"); !slices.Equal(got, []string{"/run/a", "/home/user/b"}) {
		t.Errorf("agents: %q", got)
	}
}

func TestKeyIsListedIfSomeUseOfItIsNotDenied(t *testing.T) {
	t.Parallel()
	f := parse(t, `
[[ssh.rule]]
qube = "work"
keys = ["comment:never"]
purpose = ["login", "forwarded-login", "sshsig:*", "certificate", "hostkey", "raw"]
decision = "deny"
[[ssh.rule]]
qube = "work"
keys = ["comment:git"]
purpose = ["sshsig:git"]
decision = "allow"
[[ssh.rule]]
qube = "work"
keys = ["comment:git"]
decision = "deny"
[[ssh.rule]]
qube = "work"
keys = ["comment:asked"]
decision = "ask"
`)
	for comment, want := range map[string]bool{"never": false, "git": true, "asked": true, "unknown": false} {
		if got := f.SSH.Listed(SSHRequest{Qube: "work", Comment: comment}); (got.Decision != Deny) != want {
			t.Errorf("%s: listed by %v, want %v", comment, got, want)
		}
	}
	if f.SSH.Serves("personal", "") || !f.SSH.Serves("work", "") {
		t.Error("serves the wrong qubes")
	}
}

// Every mistake refuses the whole file, names the line and says what to do.
func TestMistakesRefuseTheFile(t *testing.T) {
	t.Parallel()
	rule := "[[ssh.rule]]\nqube = \"work\"\ndecision = \"allow\"\n"
	for _, row := range []struct{ name, text, want string }{
		{"unknown key", rule + "qubes = \"x\"\n", `rules.toml:4: unknown key "ssh.rule.qubes"`},
		{"unknown table", "[shh]\nx = 1\n", `rules.toml:1: unknown key "shh`},
		{"key in capitals", rule + "Agent = \"card\"\n", `rules.toml:4: unknown key "ssh.rule.Agent": keys are lower case`},
		{"key twice in other case", "[[ssh.rule]]\nqube = \"work\"\nQube = \"*\"\ndecision = \"allow\"\n", `rules.toml:3: unknown key`},
		{"no TOML", "[[ssh.rule]\n", "rules.toml:1: "},
		{"key twice", rule + "decision = \"deny\"\n", "rules.toml:4: "},
		{"decision misspelt", "[[ssh.rule]]\nqube = \"work\"\ndecision = \"alow\"\n", `rules.toml:3: "alow" is no decision`},
		{"decision missing", "\n[[ssh.rule]]\nqube = \"work\"\n", "rules.toml:2: the rule decides nothing"},
		{"qube missing", "[[ssh.rule]]\ndecision = \"allow\"\n", "rules.toml:1: the rule names no qube"},
		{"tag as qube", "[[ssh.rule]]\nqube = \"@tag:x\"\ndecision = \"allow\"\n", "tags are for dom0's policy"},
		{"fingerprint cut", rule + "keys = [\"SHA256:abc\"]\n", "rules.toml:4: "},
		{"fingerprint of another form", rule + "keys = [\"MD5:00:11\"]\n", `is no key`},
		{"empty keys", rule + "keys = []\n", "keys is an empty list"},
		{"purpose misspelt", rule + "purpose = [\"logn\"]\n", `"logn" is no purpose`},
		{"sshsig without namespace", rule + "purpose = [\"sshsig\"]\n", "needs a namespace"},
		{"empty purpose", rule + "purpose = []\n", "purpose is an empty list"},
		{"empty users", rule + "users = []\n", "rules.toml:4: users is an empty list"},
		{"empty hosts", rule + "hosts = []\n", "rules.toml:4: hosts is an empty list"},
		{"user without a name", rule + "users = [\"\"]\n", "no user name"},
		{"host with a user", rule + "hosts = [\"git@github.com\"]\n", "is no host"},
		{"host with a colon and port", rule + "hosts = [\"github.com:443\"]\n", `write "[github.com]:443"`},
		{"host as a URL", rule + "hosts = [\"ssh://github.com\"]\n", "is no host"},
		{"host with an open bracket", rule + "hosts = [\"[github.com\"]\n", `write "[HOST]:PORT"`},
		{"host with a port that is none", rule + "hosts = [\"[a]:ssh\"]\n", `write "[HOST]:PORT"`},
		{"host taken back, as in known_hosts", rule + "hosts = [\"*\", \"!a\"]\n", "is no host"},
		{"host with blanks", rule + "hosts = [\"a b\"]\n", "is no host"},
		{"hosts for what has no destination", rule + "hosts = [\"a\"]\npurpose = [\"sshsig:git\", \"raw\"]\n", "rules.toml:4: hosts is for logins only, the rule never matches sshsig:git, raw: write a rule of its own"},
		{"users for what has no user", rule + "users = [\"a\"]\npurpose = [\"sshsig:*\"]\n", "users is for logins only"},
		{"a denial that denies less than it says", "[[ssh.rule]]\nqube = \"a\"\ndecision = \"deny\"\nhosts = [\"x\"]\npurpose = [\"login\", \"raw\"]\n", "never matches raw"},
		{"a denial for hosts before an allow for all", rule + "users = [\"x\"]\n[[ssh.rule]]\nqube = \"work\"\nhosts = [\"prod\"]\ndecision = \"deny\"\n[[ssh.rule]]\nqube = \"w*\"\ndecision = \"allow\"\n", "rules.toml:7: deny for these hosts is evaded by a client that hides its destination: line 9 then says allow: name in line 9"},
		{"a question for hosts before an allow for all", "[[ssh.rule]]\nqube = \"*\"\nhosts = [\"prod\"]\ndecision = \"ask\"\n" + rule, "rules.toml:3: ask for these hosts is evaded"},
		{"rate of none", rule + "rate = \"0/min\"\n", "rules.toml:4: "},
		{"rate per day", rule + "rate = \"3/d\"\n", `is no rate: write "30/min"`},
		{"rate without a unit", rule + "rate = \"3\"\n", "is no rate"},
		{"rate a number", rule + "rate = 3\n", "is no rate"},
		{"rate below none", rule + "rate = \"-3/s\"\n", "is no rate"},
		{"rate beyond counting", rule + "rate = \"99999999999999999999/s\"\n", "is no rate"},
		{"remember in days", rule + "remember = \"1d\"\n", `is no duration: write "90s"`},
		{"remember a number", rule + "remember = 5\n", `rules.toml:4: "5" is no text`},
		{"remember of the service a number", "[ssh]\nremember = 5\n", `rules.toml:2: "5" is no text`},
		{"decision a number", "[[ssh.rule]]\nqube = \"work\"\ndecision = 2\n", `rules.toml:3: "2" is no text`},
		{"service in one line, decision a number", "ssh.rule = [{qube=\"work\", decision=2}]\n", "[[ssh.rule]] table"},
		{"service in one line, remember a number", "ssh = {remember = 5}\n", `rules.toml:1: write "ssh" as a table of its own, [ssh]`},
		{"agents in one line", "[ssh]\nagents = {a = \"/x\"}\n", "[ssh.agents]"},
		{"remember below none", rule + "remember = \"-5m\"\n", "is no duration"},
		{"remember for ever", rule + "remember = \"999h\"\n", "is too long: at most 24h"},
		{"remember of the service", "[ssh]\nremember = \"\"\n", "rules.toml:2: "},
		{"notify a text", rule + "notify = \"yes\"\n", "rules.toml:4: "},
		{"shipped known hosts a text", "[ssh]\nshipped_known_hosts = \"no\"\n", "rules.toml:2: "},
		{"key of a rule in [ssh]", "[ssh]\nrate = \"3/s\"\n", `rules.toml:2: unknown key "ssh.rate": [ssh] has remember`},
		{"agent with relative path, by line", "\n[ssh.agents]\ncard = \"x\"\n", `rules.toml:3: [ssh.agents] "card": "x" is no path`},
		{"more rules than are compared", strings.Repeat(rule, 1001), "more than 1000 rules"},
		{"number for a text", "[[ssh.rule]]\nqube = 1\ndecision = \"allow\"\n", `"1" can match no qube`},
		{"rules in one line", "[ssh]\nrule = [{qube=\"work\", decision=\"allow\"}]\n", "[[ssh.rule]] table"},
		{"agent with relative path", "[ssh.agents]\ncard = \"gnupg/S\"\n", "is no path of a socket"},
		{"agent with odd name", "[ssh.agents]\n\"a/b\" = \"/x\"\n", "agent names are"},
		{"agent list empty", "[ssh.agents]\nx = []\n", "the list is empty"},
		{"agent a number", "[ssh.agents]\nx = 1\n", "want the path of a socket"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			f, err := Parse("rules.toml", []byte(row.text))
			if err == nil || f != nil {
				t.Fatalf("accepted: %+v", f)
			}
			if !strings.Contains(err.Error(), row.want) {
				t.Errorf("got  %v\nwant %s", err, row.want)
			}
		})
	}
}

// A warning does not deny; the file does what it says.
func TestWarnings(t *testing.T) {
	t.Parallel()
	rule := "[[ssh.rule]]\nqube = \"work\"\ndecision = \"%s\"\n"
	allow, ask, deny := strings.ReplaceAll(rule, "%s", "allow"), strings.ReplaceAll(rule, "%s", "ask"), strings.ReplaceAll(rule, "%s", "deny")
	for _, row := range []struct{ name, text, want string }{
		{"nothing to say", allow + "rate = \"1/s\"\nremember = \"1m\"\nhosts = [\"a\"]\n" + ask, ""},
		{"the next is another qube", allow + strings.ReplaceAll(ask, "work", "home"), ""},
		{"the next has other keys", allow + "keys = [\"comment:a\"]\n" + ask + "keys = [\"comment:b\"]\n", ""},
		{"the next has another agent", allow + "agent = \"card\"\n" + ask + "agent = \"\"\n", ""},
		{"the next has more purposes", allow + ask + "purpose = [\"login\", \"raw\"]\n", ""},
		{"a denial before an allow", strings.ReplaceAll(deny, "work", "work-2") + strings.ReplaceAll(allow, "work", "work*"), ""},
		{"twice the same", allow + allow, "rules.toml:4: the rule is never reached: line 1 matches all that it does, and says allow: remove it"},
		{"a denial too late", allow + deny + "hosts = [\"a\"]\n", "rules.toml:4: the rule is never reached: line 1 matches all that it does, and says allow: write it before line 1, or remove it"},
		{"a pattern first", strings.ReplaceAll(ask, "work", "w*") + allow, "rules.toml:4: the rule is never reached"},
		{"any comment first", ask + "keys = [\"comment:*\"]\n" + allow + "keys = [\"" + fp1 + "\"]\n", "rules.toml:5: the rule is never reached"},
		{"remember on a denial", deny + "remember = \"1m\"\n", "rules.toml:4: remember has no effect on deny"},
		{"remember without a question", allow + "remember = \"1m\"\n", "rules.toml:4: remember has no effect on an allow without rate"},
		{"rate on a question", ask + "rate = \"1/s\"\n", "rules.toml:4: rate has no effect on ask"},
		{"remember beyond the most", "[ssh]\nremember = \"5m\"\n" + ask + "remember = \"8h\"\n", "rules.toml:6: remember is cut to 5m"},
		{"some purposes without destination", allow + "hosts = [\"a\"]\npurpose = [\"login\", \"sshsig:git\"]\n", "rules.toml:4: hosts is for logins only, the rule never matches sshsig:git"},
		{"a denial for hosts, then a question", deny + "hosts = [\"a\"]\n" + ask, "rules.toml:4: deny for these hosts is evaded by a client that hides its destination: line 5 then says ask"},
		{"hosts, then fewer rights", allow + "hosts = [\"a\"]\n" + deny, ""},
		{"a denial for hosts, then an allow for others", deny + "hosts = [\"a\"]\n" + allow + "hosts = [\"b\"]\n", ""},
		{"a denial for hosts, then an allow to sign", deny + "hosts = [\"a\"]\n" + allow + "purpose = [\"sshsig:*\"]\n", ""},
		{"a denial for hosts and users, then an allow for other users", deny + "hosts = [\"a\"]\nusers = [\"x\"]\n" + allow + "users = [\"y\"]\n", ""},
		{"a denial for hosts, then one for all, then an allow", deny + "hosts = [\"a\"]\n" + deny + "purpose = [\"login\"]\n" + strings.ReplaceAll(allow, "work", "*"), ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			f := parse(t, row.text)
			switch {
			case row.want == "" && len(f.Warnings) > 0:
				t.Errorf("warned: %v", f.Warnings)
			case row.want != "" && (len(f.Warnings) != 1 || !strings.HasPrefix(f.Warnings[0].Error(), row.want) || !f.Warnings[0].Warning):
				t.Errorf("got  %v\nwant %s", f.Warnings, row.want)
			}
		})
	}
}

func TestProblemsOfAFileAreAllReported(t *testing.T) {
	t.Parallel()
	_, err := Parse("rules.toml", []byte("[ssh.agents]\nx = 1\n[[ssh.rule]]\nqube = \"a\"\nkeys = []\n[[ssh.rule]]\ndecision = \"ask\"\n"))
	var lines []int
	for _, p := range Problems(err) {
		if p.Path != "rules.toml" || p.Warning {
			t.Errorf("got %+v", p)
		}
		lines = append(lines, p.Line)
	}
	if !slices.Equal(lines, []int{2, 3, 5, 6}) {
		t.Errorf("lines %v of %v", lines, err)
	}
	if Problems(nil) != nil {
		t.Error("a problem with no error")
	}
}

func TestHostsThatTheVaultDoesNotKnow(t *testing.T) {
	t.Parallel()
	f := parse(t, "[[ssh.rule]]\nqube = \"a\"\ndecision = \"ask\"\nhosts = [\"known\", \"*.any\", \"Gone\"]\n")
	found := f.UnknownHosts(func(name string) bool { return name == "known" })
	if len(found) != 1 || found[0].Line != 4 || !found[0].Warning || !strings.Contains(found[0].Text, "no key of gone,") {
		t.Errorf("got %v", found)
	}
	if got := f.SSH.HostNames(); !slices.Equal(got, []string{"known", "gone"}) {
		t.Errorf("names %v", got)
	}
}

func TestLoadTakesTheFirstFileThatExists(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	own, system := filepath.Join(dir, "own.toml"), filepath.Join(dir, "system.toml")
	if _, err := Load(own, system); !errors.Is(err, ErrNoFile) {
		t.Fatalf("no file: %v", err)
	}
	write(t, system, "[[ssh.rule]]\nqube=\"a\"\ndecision=\"allow\"\n")
	if f, err := Load(own, system); err != nil || f.Path != system {
		t.Fatalf("system file: %v, %v", f, err)
	}
	write(t, own, "broken")
	if f, err := Load(own, system); err == nil {
		t.Fatalf("a broken own file fell through to %s", f.Path)
	}
	write(t, own, strings.Repeat("# long\n", maxFile/7+1))
	if _, err := Load(own, system); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Fatalf("huge file: %v", err)
	}
	if err := os.Remove(own); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(own, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(own, system); err == nil || errors.Is(err, ErrNoFile) {
		t.Fatalf("unreadable file: %v", err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// What is accepted has no rule without qube and decision, and never panics.
func FuzzParse(f *testing.F) {
	f.Add([]byte("[[ssh.rule]]\nqube=\"work\"\nkeys=[\"comment:x*\"]\npurpose=[\"sshsig:git\"]\ndecision=\"ask\"\n"))
	f.Add([]byte("[ssh]\ncomments=true\n[ssh.agents]\na=[\"/x\",\"%t/y\"]\n[clef]\nX=1\n"))
	f.Add([]byte("[ssh]\nrule=[{}]\n"))
	f.Add([]byte(destinations))
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := Parse("rules.toml", text)
		if (file == nil) == (err == nil) {
			t.Fatalf("neither or both: %v, %v", file, err)
		}
		if err != nil {
			return
		}
		for _, rule := range file.SSH.Rules {
			if rule.Qube == nil || rule.Decision == nil || rule.source.line == 0 {
				t.Fatalf("accepted an incomplete rule: %+v", rule)
			}
		}
		request := SSHRequest{Qube: "work", Purpose: "login", User: "git", Hosts: []string{"a"}}
		verdict, steps := file.SSH.Explain(request)
		if verdict != file.SSH.Judge(request) || len(steps) > len(file.SSH.Rules) || verdict.Remember < 0 || verdict.Remember > 24*time.Hour {
			t.Fatalf("%+v by %+v", verdict, steps)
		}
		if verdict.Decision != Deny && (file.SSH.Listed(request).Decision == Deny || !file.SSH.Serves("work", "")) {
			t.Fatalf("allowed and hidden: %+v", verdict)
		}
	})
}
