package consent

import (
	"strings"
	"testing"
)

func passVerbs() []string {
	return []string{"list", "find", "field", "otp", "show", "insert", "generate", "replace"}
}

func TestPassTextKeepsTheLimits(t *testing.T) {
	for _, verb := range passVerbs() {
		for _, text := range []string{"", "work/mail", strings.Repeat("\u202e<&\n", 5000)} {
			p := Pass{Qube: "work", Verb: verb, Entry: text, Field: text, Host: text, Count: 7, Unlock: true}
			r := p.Request()
			if err := r.Check(); err != nil {
				t.Errorf("%s: %v", verb, err)
			}
			if _, err := Encode(Message{Ask: &Question{Service: r.Service, Qube: r.Qube, Subject: r.Subject, Lines: r.Lines}}, MaxRequest); err != nil {
				t.Errorf("%s: %v", verb, err)
			}
			if err := p.Notice(true).Check(); err != nil {
				t.Errorf("%s: %v", verb, err)
			}
		}
	}
}

// A yes is for what was shown, and for nothing else.
func TestPassSubjectsTellUsesApart(t *testing.T) {
	keys := map[string]bool{}
	questions := 0
	for _, verb := range passVerbs() {
		for _, p := range []Pass{{Verb: verb}, {Verb: verb, Entry: "a"}, {Verb: verb, Entry: "b"}, {Verb: verb, Entry: strings.Repeat("b", 999)}, {Verb: verb, Entry: strings.Repeat("b", 998)}} {
			if verb == "find" {
				p.Host, p.Entry = p.Entry, ""
			}
			p.Qube = "work"
			r := p.Request()
			keys[r.Key()] = true
			questions++
		}
	}
	for _, p := range []Pass{{Verb: "field", Entry: "a", Field: "login"}, {Verb: "field", Entry: "a", Field: "password"}} {
		p.Qube = "work"
		r := p.Request()
		keys[r.Key()] = true
		questions++
	}
	if len(keys) != questions {
		t.Errorf("%d subjects of %d questions", len(keys), questions)
	}
}

func TestANameIsQuotedAndLast(t *testing.T) {
	p := Pass{Qube: "work", Verb: "show", Entry: "<b>bold</b>\n\x1b]0;x\a"}
	r := p.Request()
	for _, l := range r.Lines {
		if strings.ContainsFunc(l.Text, unprintable) {
			t.Errorf("%q", l.Text)
		}
	}
	if n := p.Notice(true); !strings.HasSuffix(n.Text, `: "<b>bold</b>\x0a\x1b]0;x\x07"`) {
		t.Errorf("%q", n.Text)
	}
	if q := (&Pass{Qube: "work", Verb: "otp", Entry: "a"}).Request().Lines[0].Text; q != "Allow the qube work to get a one-time code?" {
		t.Error(q)
	}
}
