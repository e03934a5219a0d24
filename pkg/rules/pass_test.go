package rules

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/splitvault/splitvault/pkg/entryname"
)

func parsePass(t *testing.T, text string) *PassFile {
	t.Helper()
	f, err := ParsePass("rules.toml", []byte(text))
	if err != nil {
		t.Fatalf("parse: %v\n%s", err, text)
	}
	return f
}

const passTable = `
[pass]
store = "~/.password-store"
remember = "10m"

[[pass.rule]]
qube = "work"
entries = ["work/bank", "work/**/root"]
decision = "deny"

[[pass.rule]]
qube = "work"
entries = ["work/**", "shared/wifi"]
verbs = ["list", "find", "field", "otp"]
fields = ["password", "login", "x-*"]
decision = "allow"
unlock = true
rate = "30/min"
notify = true

[[pass.rule]]
qube = "work"
entries = ["work/*"]
verbs = ["show"]
decision = "ask"
remember = "1h"

[[pass.rule]]
qube = "disp*"
entries = ["inbox/**"]
verbs = ["insert", "generate"]
decision = "allow"

[[pass.rule]]
qube = "admin"
decision = "ask"
`

func TestPassFirstMatchDecides(t *testing.T) {
	t.Parallel()
	p := parsePass(t, passTable).Pass
	for _, row := range []struct {
		name, qube string
		entry      entryname.Name
		verb       PassVerb
		field      entryname.Field
		want       Decision
		line       string
	}{
		{"no rule for the qube", "home", "work/mail", PassShow, "", Deny, ""},
		{"a denied entry", "work", "work/bank", PassField, "password", Deny, "6"},
		{"a denied entry, deep", "work", "work/a/b/root", PassOTP, "", Deny, "6"},
		{"a field that is named", "work", "work/mail", PassField, "password", Allow, "11"},
		{"a field by pattern", "work", "work/mail", PassField, "x-pin", Allow, "11"},
		{"another field", "work", "work/mail", PassField, "url", Deny, ""},
		{"a line, which may be any field", "work", "work/mail", PassField, "line.2", Deny, ""},
		{"a code, which is no field", "work", "work/mail", PassOTP, "", Allow, "11"},
		{"the whole", "work", "work/mail", PassShow, "", Ask, "21"},
		{"the whole, a directory further", "work", "work/a/mail", PassShow, "", Deny, ""},
		{"one that is named", "work", "shared/wifi", PassList, "", Allow, "11"},
		{"its neighbour", "work", "shared/wifi2", PassList, "", Deny, ""},
		{"what begins alike", "work", "workshop/x", PassList, "", Deny, ""},
		{"inbox", "disp12", "inbox/x", PassInsert, "", Allow, "28"},
		{"inbox, to read", "disp12", "inbox/x", PassShow, "", Deny, ""},
		{"inbox, to replace", "disp12", "inbox/x", PassReplace, "", Deny, ""},
		{"all verbs", "admin", "any", PassInsert, "", Ask, "34"},
		{"all verbs but replace", "admin", "any", PassReplace, "", Deny, ""},
		{"no verb", "admin", "any", "", "", Deny, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			got := p.Judge(PassRequest{row.qube, row.entry, row.verb, row.field})
			rule := "no rule matches"
			if row.line != "" {
				rule = "rules.toml:" + row.line
			}
			if got.Decision != row.want || got.Rule != rule {
				t.Errorf("got %v by %q, want %v by %q", got.Decision, got.Rule, row.want, rule)
			}
		})
	}
	v := p.Judge(PassRequest{"work", "work/mail", PassField, "password"})
	if !v.Unlock || !v.Notify || v.Rate.Count != 30 || v.Remember != 10*time.Minute || v.ID == "" {
		t.Errorf("%+v", v)
	}
	if v := p.Judge(PassRequest{Qube: "work", Entry: "work/mail", Verb: PassShow}); v.Unlock || v.Remember != 10*time.Minute {
		t.Errorf("%+v", v)
	}
}

func TestListsEqualRights(t *testing.T) {
	t.Parallel()
	p := parsePass(t, passTable+`
[[pass.rule]]
qube = "names"
verbs = ["show", "otp"]
entries = ["secret"]
decision = "deny"
[[pass.rule]]
qube = "names"
verbs = ["field"]
entries = ["secret"]
decision = "deny"
[[pass.rule]]
qube = "names"
decision = "allow"
`).Pass
	for _, row := range []struct {
		qube  string
		entry entryname.Name
		want  Decision
	}{
		{"work", "work/mail", Allow},
		{"work", "work/bank", Deny},
		{"work", "home/x", Deny},
		{"disp12", "inbox/x", Deny}, // it may write there, and not read
		{"admin", "x", Ask},
		{"names", "x", Allow},
		{"names", "secret", Deny}, // it could be listed, but nothing of it read
		{"other", "x", Deny},
	} {
		if got := p.Listed(row.qube, row.entry).Decision; got != row.want {
			t.Errorf("%s, %s: %v, want %v", row.qube, row.entry, got, row.want)
		}
	}
	for qube, want := range map[string]bool{"work": true, "disp1": true, "admin": true, "other": false} {
		if p.Serves(qube) != want {
			t.Errorf("Serves(%q) is %v", qube, !want)
		}
	}
	if !p.Asks("admin") || !p.Asks("work") || p.Asks("disp12") || p.Asks("other") {
		t.Error("who is asked")
	}
	if ids := p.Rated("work"); len(ids) != 1 || p.Rated("admin") != nil {
		t.Error("what is counted")
	}
}

func TestWithoutPassRulesEverythingIsDenied(t *testing.T) {
	t.Parallel()
	none, err := LoadPassOrDefault("/nonexistent/rules.toml")
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]Pass{"no file": none.Pass, "only ssh": parsePass(t, "[[ssh.rule]]\nqube = \"*\"\ndecision = \"allow\"\n").Pass} {
		if v := p.Judge(PassRequest{"work", "x", PassShow, ""}); v.Decision != Deny || p.Serves("work") {
			t.Errorf("%s: %+v", name, v)
		}
	}
	// A mistake of another service denies nothing here.
	if p := parsePass(t, "[[ssh.rule]]\nquub = 1\n[[pass.rule]]\nqube = \"work\"\ndecision = \"allow\"\n").Pass; !p.Serves("work") {
		t.Error("a mistake in [ssh] denies pass")
	}
}

func TestMistakesInPassRules(t *testing.T) {
	t.Parallel()
	rule := func(lines ...string) string {
		return "[[pass.rule]]\nqube = \"work\"\ndecision = \"allow\"\n" + strings.Join(lines, "\n") + "\n"
	}
	deny := "[[pass.rule]]\nqube = \"w*\"\ndecision = \"deny\"\n"
	for _, row := range []struct{ text, want string }{
		{rule("entrys = [\"x\"]"), "rules.toml:4: unknown key"},
		{rule("Entries = [\"x\"]"), "rules.toml:4"},
		{rule("entries = [\"x.gpg\"]"), "without .gpg"},
		{rule("entries = [\"work/\"]"), `"work/**"`},
		{rule("entries = [\"/work\"]"), "no pattern"},
		{rule("entries = [\"../x\"]"), "can match no entry"},
		{rule("entries = [\"work/.git/*\"]"), "can match no entry"},
		{rule("entries = [\"work**\"]"), "stands alone"},
		{rule("entries = []"), "matches no entry"},
		{rule("entries = \"x\""), "rules.toml:4"},
		{rule("verbs = [\"read\"]"), "is no verb"},
		{rule("verbs = []"), "all but replace"},
		{rule("fields = [\"otp\"]"), "is a verb"},
		{rule("fields = [\"username\"]"), `write "login"`},
		{rule("fields = [\"Pin\"]"), `write "pin"`},
		{rule("fields = [\"line.1\"]"), `write "password"`},
		{rule("fields = []"), "matches no field"},
		{rule("verbs = [\"show\"]", "fields = [\"pin\"]"), "which the rule does not have"},
		{rule("decision = \"deny\""), "rules.toml"},
		{"[[pass.rule]]\ndecision = \"deny\"\n", "names no qube"},
		{"[[pass.rule]]\nqube = \"work\"\n", "decides nothing"},
		{"[[pass.rule]]\nqube = \"@tag:x\"\ndecision = \"deny\"\n", "dom0"},
		{"[pass]\nstore = \"password-store\"\n", "rules.toml:2: store"},
		{"[pass]\nstore = \"%t/x\"\n", "rules.toml:2: store"},
		{"[pass]\nsigning_keys = [\"ABCD\"]\n", "fingerprint"},
		{"[pass]\nunlock = true\n", "unknown key"},
		{"pass = { store = \"/x\" }\n", "table of its own"},
		// A rule that denies less than it says.
		{deny + "fields = [\"pin\"]\n", "says deny to all of these entries"},
		{rule("fields = [\"pin\"]"), "says allow to all of these entries"},
		{deny + "verbs = [\"field\"]\nfields = [\"pin\"]\n" + rule(), "evaded: line 6 says allow to show and line.N"},
		{deny + "verbs = [\"field\"]\nfields = [\"pin\"]\n" + rule("verbs = [\"field\"]"), "says allow to line.N"},
		{deny + "verbs = [\"field\"]\nfields = [\"pin\"]\n" + rule("verbs = [\"field\"]", "fields = [\"l*\"]"), "line.N"},
		{deny + "verbs = [\"field\"]\nfields = [\"pin\"]\n" + rule("verbs = [\"show\"]"), "to show"},
	} {
		if f, err := ParsePass("rules.toml", []byte(row.text)); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s%v, %+v, want %q", row.text, err, f, row.want)
		}
	}
}

func TestPassRulesThatAreRightByOthers(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"lines and show denied too": "[[pass.rule]]\nqube = \"w*\"\ndecision = \"deny\"\nverbs = [\"field\"]\nfields = [\"pin\", \"line.*\"]\n" +
			"[[pass.rule]]\nqube = \"w*\"\ndecision = \"deny\"\nverbs = [\"show\"]\n[[pass.rule]]\nqube = \"work\"\ndecision = \"allow\"\n",
		"another qube": "[[pass.rule]]\nqube = \"home\"\ndecision = \"deny\"\nverbs = [\"field\"]\nfields = [\"pin\"]\n[[pass.rule]]\nqube = \"work\"\ndecision = \"allow\"\n",
		"other entries": "[[pass.rule]]\nqube = \"work\"\nentries = [\"a/**\"]\ndecision = \"deny\"\nverbs = [\"field\"]\nfields = [\"pin\"]\n" +
			"[[pass.rule]]\nqube = \"work\"\nentries = [\"b/**\"]\ndecision = \"allow\"\n",
		"the fields that are meant": "[[pass.rule]]\nqube = \"work\"\ndecision = \"deny\"\nverbs = [\"field\"]\nfields = [\"pin\"]\n" +
			"[[pass.rule]]\nqube = \"work\"\nverbs = [\"list\", \"field\", \"otp\"]\nfields = [\"password\", \"p?n*\"]\ndecision = \"allow\"\n",
	} {
		if f := parsePass(t, text); len(f.Warnings) != 0 {
			t.Errorf("%s: %v", name, f.Warnings)
		}
	}
}

func TestWarningsAboutPassRules(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		text, want string
		line       int
	}{
		{"[[pass.rule]]\nqube = \"work\"\nentries = [\"a/**\"]\ndecision = \"allow\"\n[[pass.rule]]\nqube = \"work\"\nentries = [\"a/b/*\"]\ndecision = \"deny\"\n", "never reached", 5},
		{"[[pass.rule]]\nqube = \"work\"\ndecision = \"allow\"\nremember = \"5m\"\n", "no effect on an allow", 4},
		{"[[pass.rule]]\nqube = \"work\"\ndecision = \"deny\"\nremember = \"5m\"\n", "no effect on deny", 4},
		{"[[pass.rule]]\nqube = \"work\"\ndecision = \"ask\"\nrate = \"5/h\"\n", "rate has no effect", 4},
		{"[[pass.rule]]\nqube = \"work\"\ndecision = \"deny\"\nunlock = true\n", "unlock has no effect", 4},
		{"[[pass.rule]]\nqube = \"work\"\nverbs = [\"list\"]\ndecision = \"allow\"\n", "lists nothing", 3},
		{"[[pass.rule]]\nqube = \"work\"\nverbs = [\"show\", \"field\"]\nfields = [\"pin\"]\ndecision = \"allow\"\n", "show gives the whole", 4},
		{"[pass]\nremember = \"1m\"\n[[pass.rule]]\nqube = \"work\"\ndecision = \"ask\"\nremember = \"5m\"\n", "is cut to 1m", 6},
		{"[[pass.rule]]\nqube = \"w*\"\ndecision = \"deny\"\nverbs = [\"field\"]\nfields = [\"pin\"]\n[[pass.rule]]\nqube = \"work\"\ndecision = \"ask\"\n", "evaded", 5},
	} {
		f := parsePass(t, row.text)
		if len(f.Warnings) != 1 || f.Warnings[0].Line != row.line || !strings.Contains(f.Warnings[0].Error(), row.want) {
			t.Errorf("%s%v, want %q in line %d", row.text, f.Warnings, row.want, row.line)
		}
	}
}

func TestExplainPass(t *testing.T) {
	t.Parallel()
	p := parsePass(t, passTable).Pass
	v, steps := p.Explain(PassRequest{"work", "work/mail", PassShow, ""})
	if v.Decision != Ask || len(steps) != 3 || steps[0].Missed != "entries" || steps[1].Missed != "verbs" || steps[2].Missed != "" {
		t.Errorf("%+v, %+v", v, steps)
	}
	if steps[1].Why != "it is for list, find, field, otp" || !strings.HasPrefix(steps[2].Text, "[[pass.rule]]\nqube = \"work\"") {
		t.Errorf("%+v", steps)
	}
	v, steps = p.Explain(PassRequest{"work", "work/mail", PassField, "url"})
	if v.Decision != Deny || len(steps) != 5 || steps[1].Why != "it is for the fields password, login, x-*" {
		t.Errorf("%+v, %+v", v, steps)
	}
}

func TestStorePath(t *testing.T) {
	t.Parallel()
	env := map[string]string{"HOME": "/home/user"}
	getenv := func(key string) string { return env[key] }
	if got := (&Pass{}).StorePath(getenv); got != "/home/user/.password-store" {
		t.Error(got)
	}
	env["PASSWORD_STORE_DIR"] = "/srv/pass"
	if got := (&Pass{}).StorePath(getenv); got != "/srv/pass" {
		t.Error(got)
	}
	if got := (&Pass{Store: "%h/x"}).StorePath(getenv); got != "/home/user/x" {
		t.Error(got)
	}
}

// randomPassRule is the text of a rule over a small world.
func randomPassRule(r *rand.Rand) string {
	var b strings.Builder
	fmt.Fprintf(&b, "[[pass.rule]]\nqube = %q\ndecision = %q\n", pick(r, "work", "w*", "*", "disp*"), pick(r, "allow", "ask", "deny"))
	if r.IntN(3) > 0 {
		fmt.Fprintf(&b, "entries = [%q, %q]\n", pick(r, "a/**", "**/x", "a/x", "b"), pick(r, "*", "a/*", "**", "b/?"))
	}
	if r.IntN(2) == 0 {
		fmt.Fprintf(&b, "verbs = [%q, %q]\n", pick(r, "list", "show", "field"), pick(r, "field", "otp", "insert", "replace"))
	}
	if r.IntN(2) == 0 {
		fmt.Fprintf(&b, "fields = [%q, %q]\n", pick(r, "password", "p*", "line.2"), pick(r, "*", "pin", "line.*"))
	}
	if r.IntN(4) == 0 {
		fmt.Fprintf(&b, "rate = %q\n", pick(r, "1/s", "30/min"))
	}
	if _, err := ParsePass("rules.toml", []byte(b.String())); err != nil {
		return randomPassRule(r) // a contradiction in itself
	}
	return b.String()
}

func randomPassRequest(r *rand.Rand) PassRequest {
	q := PassRequest{Qube: pick(r, "work", "home", "disp12"), Entry: entryname.Name(pick(r, "a/x", "a/b/x", "b", "b/y", "x", "c/d"))}
	q.Verb = PassVerb(pick(r, "list", "find", "field", "otp", "show", "insert", "generate", "replace"))
	if q.Verb == PassField {
		q.Field = entryname.Field(pick(r, "password", "pin", "line.2", "line.3", "url"))
	}
	return q
}

func passTogether(t *testing.T, texts ...string) Pass {
	t.Helper()
	var p Pass
	for i, text := range texts {
		rule := parsePass(t, text).Pass.Rules[0]
		rule.source.line = i + 1
		p.Rules = append(p.Rules, rule)
	}
	return p
}

func TestPassProperties(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(21, 22))
	decided, covered, read := 0, 0, 0
	for range 3000 {
		var texts []string
		for range 2 + r.IntN(4) {
			texts = append(texts, randomPassRule(r))
		}
		p := passTogether(t, texts...)
		more := passTogether(t, append(slices.Clone(texts), randomPassRule(r))...)
		deny := strings.NewReplacer(`"allow"`, `"deny"`, `"ask"`, `"deny"`).Replace(randomPassRule(r))
		less := p
		if _, err := ParsePass("", []byte(deny)); err == nil {
			less = passTogether(t, append([]string{deny}, texts...)...)
		}
		hides := p.Rules[0].covers(&p.Rules[1])
		for range 20 {
			q := randomPassRequest(r)
			v := p.Judge(q)
			if strings.HasPrefix(v.Rule, "rules.toml:") {
				decided++
				if after := more.Judge(q); after != v {
					t.Fatalf("%+v: a rule behind the deciding one makes %+v of %+v\n%s", q, after, v, texts)
				}
			}
			if less.Judge(q).Decision > v.Decision {
				t.Fatalf("%+v: a denial in front allows\n%s%s", q, deny, texts)
			}
			if hides && v.Rule == "rules.toml:2" {
				t.Fatalf("%+v goes by a rule that is said to be never reached\n%s", q, texts)
			}
			if hides {
				covered++
			}
			reads := q.Verb == PassShow || q.Verb == PassField || q.Verb == PassOTP
			if reads && v.Decision != Deny {
				read++
				if !p.Readable(q.Qube, q.Entry) || !p.Serves(q.Qube) {
					t.Fatalf("%+v may be read and is hidden\n%s", q, texts)
				}
			}
		}
	}
	if decided < 1000 || covered < 1000 || read < 1000 {
		t.Errorf("only %d, %d, %d cases", decided, covered, read)
	}
}

// What a file without mistakes denies of a field, no other way gives.
func TestADeniedFieldIsNotEvaded(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(23, 24))
	checked := 0
	for range 30_000 {
		text := randomPassRule(r) + randomPassRule(r) + randomPassRule(r)
		f, err := ParsePass("rules.toml", []byte(text))
		if err != nil || slices.ContainsFunc(f.Warnings, func(p Problem) bool { return strings.Contains(p.Text, "evaded") }) {
			continue
		}
		q := randomPassRequest(r)
		q.Verb, q.Field = PassField, "pin"
		v := f.Pass.Judge(q)
		if v.Decision != Deny || !strings.HasPrefix(v.Rule, "rules.toml:") || !namesFields(f.Pass, v.Rule) {
			continue
		}
		checked++
		whole, line := q, q
		whole.Verb, line.Field = PassShow, "line.7"
		for _, way := range []PassRequest{whole, line} {
			if got := f.Pass.Judge(way); got.Decision != Deny && got.Order > v.Order {
				t.Fatalf("%+v is denied, %+v is not\n%s", q, way, text)
			}
		}
	}
	if checked < 200 {
		t.Errorf("only %d cases", checked)
	}
}

func namesFields(p Pass, position string) bool {
	return slices.ContainsFunc(p.Rules, func(r PassRule) bool { return r.source.position() == position && r.Fields != nil })
}

func FuzzParsePass(f *testing.F) {
	f.Add(passTable)
	f.Add("[[pass.rule]]\nqube = \"*\"\ndecision = \"allow\"\n")
	f.Add("[pass]\nstore = \"/x\"\n[[pass.rule]]\n")
	f.Fuzz(func(t *testing.T, untrusted string) {
		file, err := ParsePass("rules.toml", []byte(untrusted))
		if err != nil {
			for _, p := range Problems(err) {
				if p.Text == "" {
					t.Errorf("a problem without text: %+v", p)
				}
			}
			return
		}
		again, err := ParsePass("rules.toml", []byte(untrusted))
		if err != nil || len(again.Pass.Rules) != len(file.Pass.Rules) {
			t.Errorf("read twice: %v", err)
		}
		if v := file.Pass.Judge(PassRequest{}); v.Decision != Deny && len(file.Pass.Rules) == 0 {
			t.Errorf("no rules: %+v", v)
		}
	})
}

// The default of verbs is written twice, once without making a list.
func TestARuleHasTheVerbsThatItLists(t *testing.T) {
	t.Parallel()
	for _, rule := range []PassRule{{}, {Verbs: []PassVerb{}}, {Verbs: []PassVerb{PassShow, PassReplace}}, {Verbs: PassVerbs()}} {
		for _, verb := range PassVerbs() {
			if got, want := rule.hasVerb(verb), slices.Contains(rule.verbs(), verb); got != want {
				t.Errorf("%v: %s: %v, want %v", rule.Verbs, verb, got, want)
			}
		}
	}
}

// Of a list each name is judged.
func BenchmarkListed(b *testing.B) {
	file, err := ParsePass("rules.toml", []byte("[[pass.rule]]\nqube = \"work\"\nentries = [\"**\"]\ndecision = \"allow\"\n"))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if v := file.Pass.Listed("work", "d01/entry"); v.Decision != Allow {
			b.Fatal(v)
		}
	}
}
