package rules

import (
	"strings"
	"testing"
	"time"

	"github.com/splitvault/splitvault/pkg/rate"
)

const destinations = `
[ssh]
remember = "10m"

[[ssh.rule]]
qube = "work"
users = ["git"]
hosts = ["github.com", "[Git.Example]:2222", "[mirror]:22"]
decision = "allow"
rate = "30/min"
notify = true

[[ssh.rule]]
qube = "work"
hosts = ["*.corp.example"]
purpose = ["login", "forwarded-login"]
decision = "ask"
remember = "2m"

[[ssh.rule]]
qube = "work"
users = ["backup-*"]
decision = "ask"
remember = "8h"
`

func TestDestinationsAndUsers(t *testing.T) {
	t.Parallel()
	s := parse(t, destinations).SSH
	for _, row := range []struct {
		name          string
		purpose, user string
		hosts         []string
		want          string // line, or "" for a denial
	}{
		{"user and believed host", "login", "git", []string{"github.com"}, "5"},
		{"one of several names of the same key", "login", "git", []string{"140.82.112.3", "github.com"}, "5"},
		{"host on another port, in any case", "login", "git", []string{"[git.example]:2222"}, "5"},
		{"port 22 in brackets is the plain name", "login", "git", []string{"mirror"}, "5"},
		{"same host on a port that is not named", "login", "git", []string{"[github.com]:2222"}, ""},
		{"host without the port that is named", "login", "git", []string{"git.example"}, ""},
		{"another user", "login", "root", []string{"github.com"}, ""},
		{"a user that begins the same", "login", "git2", []string{"github.com"}, ""},
		{"destination not known", "login", "git", nil, ""},
		{"a host whose name ends the same", "login", "git", []string{"evilgithub.com"}, ""},
		{"hosts alone mean logins, not sshsig", "sshsig:git", "", nil, ""},
		{"hosts that something without destination claims", "sshsig:git", "git", []string{"github.com"}, ""},
		{"raw data with a user", "raw", "git", []string{"github.com"}, ""},
		{"forwarded logins must be named", "forwarded-login", "git", []string{"github.com"}, ""},
		{"pattern over hosts", "login", "root", []string{"db.corp.example"}, "13"},
		{"forwarded login that is named", "forwarded-login", "root", []string{"db.corp.example"}, "13"},
		{"pattern does not match the domain itself", "login", "root", []string{"corp.example"}, ""},
		{"users without hosts, wherever it goes", "login", "backup-1", nil, "20"},
		{"users without hosts, where it is known", "login", "backup-1", []string{"nas"}, "20"},
		{"no user", "login", "", nil, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			v := s.Judge(SSHRequest{Qube: "work", Purpose: row.purpose, User: row.user, Hosts: row.hosts})
			got, _ := strings.CutPrefix(v.Rule, "rules.toml:")
			if v.Decision == Deny {
				got = ""
			}
			if got != row.want {
				t.Errorf("got %v by %q", v.Decision, v.Rule)
			}
		})
	}
}

func TestVerdictSaysHowOftenAndHowLong(t *testing.T) {
	t.Parallel()
	s := parse(t, destinations).SSH
	allow := s.Judge(SSHRequest{Qube: "work", Purpose: login, User: "git", Hosts: []string{"github.com"}})
	if allow.Rate != (rate.Limit{Count: 30, Per: time.Minute}) || allow.Remember != 10*time.Minute || !allow.Notify || allow.ID == "" {
		t.Errorf("got %+v", allow)
	}
	if short := s.Judge(SSHRequest{Qube: "work", Purpose: login, User: "x", Hosts: []string{"a.corp.example"}}); short.Remember != 2*time.Minute || short.Rate.Count != 0 || short.Notify {
		t.Errorf("got %+v", short)
	}
	if cut := s.Judge(SSHRequest{Qube: "work", Purpose: login, User: "backup-1"}); cut.Remember != 10*time.Minute {
		t.Errorf("a rule's remember beyond the maximum: %+v", cut)
	}
	without := parse(t, "[[ssh.rule]]\nqube=\"a\"\ndecision=\"ask\"\nremember=\"8h\"\n[[ssh.rule]]\nqube=\"*\"\ndecision=\"ask\"\n").SSH
	for qube, want := range map[string]time.Duration{"a": 8 * time.Hour, "b": 5 * time.Minute} {
		if v := without.Judge(SSHRequest{Qube: qube, Purpose: login}); v.Remember != want {
			t.Errorf("%s: %v", qube, v.Remember)
		}
	}
	if v := parse(t, "[[ssh.rule]]\nqube=\"a\"\ndecision=\"allow\"\n").SSH.Judge(SSHRequest{Qube: "a", Purpose: login}); v.Remember != 0 {
		t.Errorf("an allow that never asks: %+v", v)
	}
}

// Names like disp1234 go from one disposable to the next.
func TestNothingLastsForADisposableUnlessARuleNamesItsLike(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		pattern, qube string
		lasts         bool
	}{
		{"*", "disp1234", false},
		{"d*", "disp1234", false},
		{"?isp*", "disp1234", false},
		{"disp*", "disp1234", true},
		{"disp1234", "disp1234", true},
		{"*", "display", true},
		{"*", "disp", true},
		{"*", "work", true},
	} {
		s := parse(t, "[[ssh.rule]]\nqube=\""+row.pattern+"\"\ndecision=\"ask\"\nremember=\"1h\"\n").SSH
		if v := s.Judge(SSHRequest{Qube: row.qube, Purpose: login}); v.Decision != Ask || v.Remember > 0 != row.lasts {
			t.Errorf("%s for %s: %+v", row.pattern, row.qube, v)
		}
	}
}

// What is counted for a rule stays counted when lines above it change.
func TestARulesIdentityIsItsText(t *testing.T) {
	t.Parallel()
	rule := "[[ssh.rule]]\nqube = \"work\"\ndecision = \"allow\"\nrate = \"1/h\"\n"
	id := func(text string) string {
		ids := parse(t, text).SSH.Rated("work", "")
		if len(ids) != 1 {
			t.Fatalf("got %d rated rules", len(ids))
		}
		return ids[0]
	}
	first := id(rule)
	if other := id("# comment\n\n[[ssh.rule]]\nqube = \"x\"\ndecision = \"deny\"\n\n\n# why\n" + strings.ReplaceAll(rule, "\ndecision", "\n  # why not\ndecision") + "\n# end\n"); other != first {
		t.Errorf("the rule moved: %s becomes %s", first, other)
	}
	if other := id(strings.Replace(rule, "1/h", "2/h", 1)); other == first {
		t.Error("another rule has the same identity")
	}
	if got := parse(t, rule).SSH.Rated("other", ""); got != nil {
		t.Errorf("rated for another qube: %v", got)
	}
	if v := parse(t, rule).SSH.Judge(SSHRequest{Qube: "work", Purpose: login}); v.ID != first {
		t.Errorf("the verdict has %s", v.ID)
	}
}

func TestAsks(t *testing.T) {
	t.Parallel()
	s := parse(t, `
[[ssh.rule]]
qube = "asked"
decision = "ask"
[[ssh.rule]]
qube = "rated"
agent = "card"
decision = "allow"
rate = "5/h"
[[ssh.rule]]
qube = "allowed"
decision = "allow"
`).SSH
	for _, row := range []struct {
		qube, agent string
		want        bool
	}{{"asked", "", true}, {"rated", "card", true}, {"rated", "", false}, {"allowed", "", false}, {"other", "", false}} {
		if got := s.Asks(row.qube, row.agent); got != row.want {
			t.Errorf("%s, agent %q: %v", row.qube, row.agent, got)
		}
	}
}

func TestNotifies(t *testing.T) {
	t.Parallel()
	s := parse(t, `
[[ssh.rule]]
qube = "told"
agent = "card"
decision = "allow"
notify = true
[[ssh.rule]]
qube = "*"
decision = "ask"
`).SSH
	for _, row := range []struct {
		qube, agent string
		want        bool
	}{{"told", "card", true}, {"told", "", false}, {"other", "card", false}} {
		if got := s.Notifies(row.qube, row.agent); got != row.want {
			t.Errorf("%s, agent %q: %v", row.qube, row.agent, got)
		}
	}
}

func TestWithoutAFilePeopleAreAsked(t *testing.T) {
	t.Parallel()
	file, err := LoadOrDefault("/nonexistent/rules.toml")
	if err != nil {
		t.Fatal(err)
	}
	s := file.SSH
	plain := SSHRequest{Qube: "any", Fingerprints: []string{fp1, fp1}}
	certificate := SSHRequest{Qube: "any", Fingerprints: []string{"SHA256:other", fp1}}
	unknown := SSHRequest{Qube: "any", Fingerprints: []string{fp1}, Certificate: true}
	for purpose, want := range map[string]Decision{
		"login": Ask, "sshsig:git": Ask, "forwarded-login": Deny, "certificate": Deny, "hostkey": Deny, "raw": Deny, "": Deny,
	} {
		plain.Purpose, certificate.Purpose = purpose, purpose
		if v := s.Judge(plain); v.Decision != want || v.Remember > 5*time.Minute || v.Rate.Count != 0 {
			t.Errorf("%s: %+v", purpose, v)
		}
		if v := s.Judge(certificate); v.Decision != Deny {
			t.Errorf("%s with a certificate: %+v", purpose, v)
		}
	}
	if s.Listed(plain).Decision != Ask || s.Listed(certificate).Decision != Deny || s.Listed(unknown).Decision != Deny {
		t.Error("lists something else than all keys but certificates")
	}
	if !s.Serves("any", "card") || !s.Asks("any", "") || !s.ShippedKnownHosts {
		t.Error("serves not all")
	}
	if v := s.Judge(SSHRequest{Qube: "disp12", Purpose: login}); v.Decision != Ask || v.Remember != 0 {
		t.Errorf("a disposable: %+v", v)
	}
}

func TestShippedKnownHostsCanBeRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"": true, "[ssh]\nshipped_known_hosts = true\n": true, "[ssh]\nshipped_known_hosts = false\n": false,
	} {
		if got := parse(t, text).SSH.ShippedKnownHosts; got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// A session that is bound is shown what some rule lets it use there.
func TestListingByDestination(t *testing.T) {
	t.Parallel()
	s := parse(t, `
[[ssh.rule]]
qube = "work"
keys = ["comment:github"]
hosts = ["github.com"]
decision = "allow"
[[ssh.rule]]
qube = "work"
keys = ["comment:corp"]
hosts = ["*.corp.example"]
purpose = ["login", "forwarded-login"]
decision = "ask"
[[ssh.rule]]
qube = "work"
keys = ["comment:sign"]
purpose = ["sshsig:git"]
decision = "allow"
[[ssh.rule]]
qube = "work"
keys = ["comment:no-prod"]
hosts = ["prod"]
decision = "deny"
[[ssh.rule]]
qube = "work"
keys = ["comment:no-prod", "comment:anywhere"]
decision = "ask"
[[ssh.rule]]
qube = "work"
keys = ["comment:backup"]
users = ["backup"]
decision = "allow"
[[ssh.rule]]
qube = "work"
keys = ["comment:never"]
hosts = ["*"]
users = ["x*"]
decision = "deny"
[[ssh.rule]]
qube = "work"
keys = ["comment:never"]
hosts = ["a"]
users = ["xy"]
decision = "allow"
`).SSH
	keys := []string{"github", "corp", "sign", "no-prod", "anywhere", "backup", "never", "unknown"}
	for _, row := range []struct {
		name string
		req  SSHRequest
		want string
	}{
		{"not bound", SSHRequest{}, "github corp sign no-prod anywhere backup"},
		{"hosts that no binding proves", SSHRequest{Hosts: []string{"prod"}}, "github corp sign no-prod anywhere backup"},
		{"bound to github.com", SSHRequest{Bound: true, Hosts: []string{"github.com"}}, "github no-prod anywhere backup"},
		{"bound to a host of a pattern", SSHRequest{Bound: true, Hosts: []string{"a.corp.example"}}, "corp no-prod anywhere backup"},
		{"bound to a host that is denied", SSHRequest{Bound: true, Hosts: []string{"prod"}}, "anywhere backup"},
		{"bound to an unknown host", SSHRequest{Bound: true}, "no-prod anywhere backup"},
		{"bound through a forwarded agent", SSHRequest{Bound: true, Forwarded: true, Hosts: []string{"a.corp.example"}}, "corp"},
		{"bound through a forwarded agent to where only logins are allowed", SSHRequest{Bound: true, Forwarded: true, Hosts: []string{"github.com"}}, ""},
		{"another qube", SSHRequest{Qube: "home"}, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			var shown []string
			for _, key := range keys {
				q := row.req
				if q.Qube == "" {
					q.Qube = "work"
				}
				q.Comment = key
				if s.Listed(q).Decision != Deny {
					shown = append(shown, key)
				}
			}
			if got := strings.Join(shown, " "); got != row.want {
				t.Errorf("got  %s\nwant %s", got, row.want)
			}
		})
	}
}

func TestExplainNamesTheRuleAndWhyOthersDoNotMatch(t *testing.T) {
	t.Parallel()
	s := parse(t, destinations).SSH
	v, steps := s.Explain(SSHRequest{Qube: "work", Purpose: login, User: "backup-1"})
	if len(steps) != 3 || v.Rule != steps[2].Rule || steps[0].Missed != "users" || steps[1].Missed != "hosts" || steps[2].Missed != "" {
		t.Fatalf("%+v by %+v", v, steps)
	}
	if !strings.Contains(steps[1].Why, "the destination is not known") || !strings.HasPrefix(steps[0].Why, "it is for the users git") {
		t.Errorf("%q, %q", steps[0].Why, steps[1].Why)
	}
	if want := "[[ssh.rule]]\nqube = \"work\"\nusers = [\"backup-*\"]\ndecision = \"ask\"\nremember = \"8h\""; steps[2].Text != want || steps[2].Line != 20 {
		t.Errorf("line %d: %q", steps[2].Line, steps[2].Text)
	}
	if v, steps := s.Explain(SSHRequest{Qube: "home", Purpose: login}); v.Decision != Deny || len(steps) != 3 || steps[0].Missed != "qube" {
		t.Errorf("%+v by %+v", v, steps)
	}
}
