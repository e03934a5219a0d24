package rules

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// pick returns one of the texts.
func pick(r *rand.Rand, texts ...string) string { return texts[r.IntN(len(texts))] }

// randomRule is the text of a rule over a small world, so that rules and
// requests meet often.
func randomRule(r *rand.Rand) string {
	var b strings.Builder
	fmt.Fprintf(&b, "[[ssh.rule]]\nqube = %q\ndecision = %q\n", pick(r, "work", "w*", "*", "disp*", "home"), pick(r, "allow", "ask", "deny"))
	if r.IntN(3) == 0 {
		fmt.Fprintf(&b, "agent = %q\n", pick(r, "", "default", "card", "c*", "*"))
	}
	if r.IntN(2) == 0 {
		fmt.Fprintf(&b, "keys = [%q, %q]\n", pick(r, fp1, "comment:a*", "comment:b"), pick(r, fp1, "comment:*", "comment:c?"))
	}
	if r.IntN(2) == 0 {
		fmt.Fprintf(&b, "purpose = [%q, %q]\n", randomPattern(r), randomPattern(r))
	}
	if r.IntN(3) == 0 {
		fmt.Fprintf(&b, "users = [%q, %q]\n", pick(r, "git", "g*", "root"), pick(r, "*", "git", "x?"))
	}
	if r.IntN(3) == 0 {
		fmt.Fprintf(&b, "hosts = [%q, %q]\n", pick(r, "a", "*.corp", "[b]:2"), pick(r, "a", "*", "?b", "x.corp"))
	}
	if r.IntN(4) == 0 {
		fmt.Fprintf(&b, "remember = %q\n", pick(r, "0s", "2m", "8h"))
	}
	if r.IntN(4) == 0 {
		fmt.Fprintf(&b, "rate = %q\n", pick(r, "1/s", "30/min", "2/h"))
	}
	if _, err := Parse("rules.toml", []byte(b.String())); err != nil {
		return randomRule(r) // a contradiction in itself
	}
	return b.String()
}

func randomPattern(r *rand.Rand) string {
	return pick(r, "login", "forwarded-login", "sshsig:git", "sshsig:*", "sshsig:g*", "sshsig:g?t", "sshsig:?", "certificate", "hostkey", "raw")
}

func randomRequest(r *rand.Rand) SSHRequest {
	var hosts []string
	for range r.IntN(3) {
		hosts = append(hosts, pick(r, "a", "bb", "x.corp", "y.corp", "[b]:2", "z"))
	}
	return SSHRequest{
		Qube: pick(r, "work", "home", "disp12", "other"), Agent: pick(r, "", "card", "x"),
		User: pick(r, "git", "root", "xy", "nobody", ""), Hosts: hosts,
		Fingerprints: []string{pick(r, fp1, "SHA256:other")}, Comment: pick(r, "", "a", "b", "cd"),
		Purpose: pick(r, "login", "forwarded-login", "sshsig:git", "sshsig:got", "sshsig:x", "sshsig:file", "certificate", "hostkey", "raw"),
	}
}

// together puts rules together that are right by themselves. As a file some of
// them would be refused, for a rule that the next one undoes.
func together(t *testing.T, texts ...string) SSH {
	t.Helper()
	var s SSH
	for i, text := range texts {
		rule := parse(t, text).SSH.Rules[0]
		rule.source.line = i + 1
		s.Rules = append(s.Rules, rule)
	}
	return s
}

func randomRules(r *rand.Rand, n int) []string {
	var texts []string
	for range n {
		texts = append(texts, randomRule(r))
	}
	return texts
}

func TestRulesAfterTheDecidingOneChangeNothing(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 6))
	decided := 0
	for range 1500 {
		texts := randomRules(r, 1+r.IntN(5))
		s, more := together(t, texts...), together(t, append(texts, randomRule(r), randomRule(r))...)
		for range 20 {
			q := randomRequest(r)
			before := s.Judge(q)
			if !strings.HasPrefix(before.Rule, "rules.toml:") {
				continue
			}
			decided++
			if after := more.Judge(q); after != before {
				t.Fatalf("%+v: %+v becomes %+v\n%s", q, before, after, texts)
			}
		}
	}
	if decided < 1000 {
		t.Errorf("only %d requests were decided by a rule", decided)
	}
}

// Whatever the order: the same first match decides the same.
func TestAnOrderWithTheSameFirstMatchChangesNothing(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(11, 12))
	kept := 0
	for range 1500 {
		texts := randomRules(r, 2+r.IntN(5))
		s := together(t, texts...)
		r.Shuffle(len(texts), func(i, j int) { texts[i], texts[j] = texts[j], texts[i] })
		other := together(t, texts...)
		for range 20 {
			q := randomRequest(r)
			before, after := s.Judge(q), other.Judge(q)
			if before.ID != after.ID {
				if before.ID == "" || after.ID == "" {
					t.Fatalf("%+v: %+v becomes %+v\n%s", q, before, after, texts)
				}
				continue // another rule that matches comes first now
			}
			kept++
			before.Rule, before.Order, after.Rule, after.Order = "", 0, "", 0
			if before != after {
				t.Fatalf("%+v: %+v becomes %+v\n%s", q, before, after, texts)
			}
		}
	}
	if kept < 1000 {
		t.Errorf("only %d requests had the same first match", kept)
	}
}

// What is reported as never reached never decides.
func TestWhatIsNeverReachedNeverDecides(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(13, 14))
	covered := 0
	for range 6000 {
		s := together(t, randomRules(r, 2)...)
		if !s.Rules[0].covers(&s.Rules[1]) {
			continue
		}
		covered++
		for range 30 {
			q := randomRequest(r)
			if v := s.Judge(q); v.Rule == "rules.toml:2" {
				t.Fatalf("%+v goes by the second of\n%s%s", q, s.Rules[0].source.text, s.Rules[1].source.text)
			}
		}
	}
	if covered < 100 {
		t.Errorf("only %d rules covered the next one", covered)
	}
}

// A denial put first can only take away.
func TestADenialInFrontNeverAllows(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(7, 8))
	for range 1500 {
		texts := randomRules(r, 1+r.IntN(5))
		s := together(t, texts...)
		deny := strings.NewReplacer(`"allow"`, `"deny"`, `"ask"`, `"deny"`).Replace(randomRule(r))
		if _, err := Parse("rules.toml", []byte(deny)); err != nil {
			continue // a denial must not have what an allow may
		}
		less := together(t, append([]string{deny}, texts...)...)
		for range 20 {
			if q := randomRequest(r); less.Judge(q).Decision > s.Judge(q).Decision {
				t.Fatalf("%+v: %v becomes %v\n%s%s", q, s.Judge(q), less.Judge(q), deny, texts)
			}
		}
	}
}

// What may be used is listed, and only for a qube that is served at all.
func TestWhatIsAllowedIsListed(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(9, 10))
	allowed := 0
	for range 3000 {
		texts := randomRules(r, 1+r.IntN(5))
		s := together(t, texts...)
		for range 20 {
			q := randomRequest(r)
			if s.Judge(q).Decision == Deny {
				continue
			}
			allowed++
			if s.Listed(q).Decision == Deny || !s.Serves(q.Qube, q.Agent) {
				t.Fatalf("%+v is allowed and hidden\n%s", q, texts)
			}
			isLogin := q.Purpose == login || q.Purpose == forwardedLogin
			if q.Bound, q.Forwarded = isLogin, q.Purpose == forwardedLogin; s.Listed(q).Decision == Deny {
				t.Fatalf("%+v is allowed and hidden\n%s", q, texts)
			}
		}
	}
	if allowed < 1000 {
		t.Errorf("only %d requests were allowed", allowed)
	}
}

// A request whose purpose is none that a rule can name is for nobody.
func TestUnknownPurposesAreDenied(t *testing.T) {
	t.Parallel()
	s := parse(t, `
[[ssh.rule]]
qube = "*"
decision = "allow"
[[ssh.rule]]
qube = "*"
decision = "allow"
purpose = ["login", "forwarded-login", "sshsig:*", "certificate", "hostkey", "raw"]
`).SSH
	for _, purpose := range []string{"", "sshsig", "Login", "login ", "*", "pam", "forwarded-login\x00"} {
		if v := s.Judge(SSHRequest{Qube: "work", Purpose: purpose}); v.Decision != Deny {
			t.Errorf("%q: %+v", purpose, v)
		}
	}
	if (&SSH{}).Judge(SSHRequest{Qube: "work", Purpose: "login"}).Decision != Deny || (&SSH{}).Serves("work", "") {
		t.Error("no rules allow something")
	}
}

func TestAKeyThatSignsInSomeNamespacesOnlyIsListed(t *testing.T) {
	t.Parallel()
	s := parse(t, `
[[ssh.rule]]
qube = "work"
purpose = ["sshsig:git"]
decision = "deny"
[[ssh.rule]]
qube = "work"
purpose = ["sshsig:git*"]
decision = "allow"
`).SSH
	if s.Judge(SSHRequest{Qube: "work", Purpose: "sshsig:gitlab"}).Decision != Allow || s.Listed(SSHRequest{Qube: "work"}).Decision != Allow {
		t.Error("the key is hidden")
	}
}

// A call that names the default agent is a call without a name, and so are rules.
func TestTheDefaultAgentHasOneName(t *testing.T) {
	t.Parallel()
	s := parse(t, "[[ssh.rule]]\nqube = \"work\"\nagent = \"default\"\ndecision = \"deny\"\n[[ssh.rule]]\nqube = \"work\"\ndecision = \"allow\"\n").SSH
	if v := s.Judge(SSHRequest{Qube: "work", Purpose: "login"}); v.Decision != Deny {
		t.Errorf("a call without a name: %+v", v)
	}
	if v := s.Judge(SSHRequest{Qube: "work", Agent: "card", Purpose: "login"}); v.Decision != Allow {
		t.Errorf("another agent: %+v", v)
	}
}

// What is wrong with the owner's own file must not make the template's count,
// which may allow more.
func TestAnOwnFileThatCannotBeReadDeniesEverything(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	system := filepath.Join(dir, "system.toml")
	write(t, system, "[[ssh.rule]]\nqube = \"*\"\ndecision = \"allow\"\n")
	for name, create := range map[string]func(path string) error{
		"link to nothing": func(path string) error { return os.Symlink(filepath.Join(dir, "gone"), path) },
		"link to itself":  func(path string) error { return os.Symlink(path, path) },
		"named pipe":      func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"device":          func(path string) error { return os.Symlink("/dev/zero", path) },
		"directory":       func(path string) error { return os.Mkdir(path, 0o700) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			own := filepath.Join(t.TempDir(), "rules.toml")
			if err := create(own); err != nil {
				t.Fatal(err)
			}
			loaded := beside(func() error { _, err := Load(own, system); return err })
			select {
			case err := <-loaded:
				if err == nil {
					t.Error("other rules count")
				}
			case <-time.After(5 * time.Second):
				t.Fatal("reading hangs")
			}
		})
	}
	for _, path := range Paths(func(string) string { return "" }) {
		if filepath.IsAbs(path) {
			break
		}
		if f, err := Load(path, system); err == nil {
			t.Errorf("without HOME, %s counts", f.Path)
		}
	}
}

// beside runs f beside the test.
func beside(f func() error) <-chan error {
	result := make(chan error, 1)
	go func() { result <- f() }()
	return result
}

// The decoder takes letters for each other that differ in case, beyond ASCII too.
func TestKeysThatLookLikeOthersRefuseTheFile(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"[[ssh.rule]]\nqube = \"a\"\ndecision = \"deny\"\n\"deci\u017fion\" = \"allow\"\n",
		"[[\"\u017f\u017fh\".rule]]\nqube = \"a\"\ndecision = \"allow\"\n",
		"[[ssh.rule]]\nqube = \"a\"\ndecision = \"allow\"\n\"\u212aeys\" = [\"comment:x\"]\n",
	} {
		if f, err := Parse("rules.toml", []byte(text)); err == nil {
			t.Errorf("accepted as %+v:\n%s", f.SSH, text)
		}
	}
}
