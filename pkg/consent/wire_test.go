package consent

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
)

func valid() Request {
	return Request{
		Service: "ssh", Qube: "work", Subject: []Fact{{"key", "SHA256:x"}}, Lines: []Line{{Text: "Allow?"}}, Remember: time.Minute,
	}
}

func TestCheckRefusesWhatIsNotFitToBeShown(t *testing.T) {
	for name, spoil := range map[string]func(*Request){
		"line feed":       func(r *Request) { r.Lines[0].Text = "a\nb" },
		"bidi":            func(r *Request) { r.Lines[0].Text = "a\u202eb" },
		"control":         func(r *Request) { r.Subject[0].Value = "\x1b[2J" },
		"too long":        func(r *Request) { r.Lines[0].Text = strings.Repeat("a", MaxText+1) },
		"no question":     func(r *Request) { r.Lines = nil },
		"no subject":      func(r *Request) { r.Subject = nil },
		"no qube":         func(r *Request) { r.Qube = "" },
		"negative grant":  func(r *Request) { r.Remember = -1 },
		"endless grant":   func(r *Request) { r.Remember = 1000 * time.Hour },
		"too many lines":  func(r *Request) { r.Lines = make([]Line, MaxLines+1) },
		"qube of a blank": func(r *Request) { r.Qube = "wo\trk" },
	} {
		r := valid()
		if spoil(&r); !errors.Is(r.Check(), ErrRequest) {
			t.Errorf("%s passes", name)
		}
	}
	if r := valid(); r.Check() != nil {
		t.Error(r.Check())
	}
}

func TestPrintable(t *testing.T) {
	for _, row := range []struct {
		in    string
		limit int
		want  string
	}{
		{"plain", 64, "plain"},
		{"a\nb", 64, `a\x0ab`},
		{`a\x0a`, 64, `a\\x0a`},
		{"\u202e", 64, `\xe2\x80\xae`},
		{"123456", 6, "123456"},
		{"1234567", 6, "123..."},
		{"1234\n", 6, "123..."},
	} {
		if got := Printable(row.in, row.limit); got != row.want {
			t.Errorf("%q: got %s, want %s", row.in, got, row.want)
		}
	}
	if n := len(Printable(strings.Repeat("\x00", 10_000), 1<<20)); n > MaxText {
		t.Errorf("%d bytes", n)
	}
}

func TestOnlyKnownReasonsAllow(t *testing.T) {
	if (Answer{}).Allowed() {
		t.Error("the zero answer allows")
	}
	for _, line := range []string{
		`{"allow":true}`, `{"allow":true,"reason":"yes"}`, `{"allow":true,"reason":"denied by the person"}`,
		`{"reason":"allowed by the person, this once"}`, `{"allow":true,"reason":"allowed by the person, this once","err":"x"}`, `{}`,
		`{"allow":true,"reason":"allowed by the person, this once"} `, `{"allow":true,"Reason":"allowed by the person, this once"}`,
	} {
		reply, err := decode[Reply]([]byte(line))
		if err != nil {
			continue
		}
		if a, err := reply.answer(); err == nil || a.Allowed() {
			t.Errorf("%s is taken: %v", line, a)
		}
	}
	for _, reason := range reasons() {
		want := Answer{Reason: reason}
		if got, err := want.Reply().answer(); err != nil || got != want {
			t.Errorf("got %v, %v", got, err)
		}
	}
}

func TestSSHTextKeepsTheLimits(t *testing.T) {
	for _, purpose := range []string{"login", "forwarded-login", "sshsig:git", "sshsig:" + strings.Repeat("<b>", 999), "certificate", "hostkey", "raw", ""} {
		for _, text := range []string{"", "git", strings.Repeat("\u202e<&\n", 5000)} {
			s := SSH{
				Qube: "work", Agent: text, Label: text, Fingerprint: "SHA256:x", Purpose: purpose,
				User: text, Host: text, HostKey: text, Path: []string{text, text},
			}
			r := s.Request()
			if err := r.Check(); err != nil {
				t.Errorf("%.20q: %v", purpose, err)
			}
			if line, err := Encode(Message{Ask: &Question{Service: r.Service, Qube: r.Qube, Subject: r.Subject, Lines: r.Lines}}, MaxRequest); err != nil {
				t.Errorf("%d bytes: %v", len(line), err)
			}
		}
	}
}

func FuzzMessage(f *testing.F) {
	line, err := Encode(Message{Ask: &Question{Service: "ssh", Qube: "work", Subject: []Fact{{"a", "b"}}, Lines: []Line{{Text: "x"}}}}, MaxRequest)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(line[:len(line)-1])
	for _, s := range []string{`{"show":{}}`, `{"revoke":{"all":true}}`, `{"pause":{"qube":"work","minutes":5}}`, `{}`, `{"ask":{}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := ParseMessage(data)
		if err != nil {
			return
		}
		again, err := Encode(m, len(data)+2)
		if err != nil || !bytes.Equal(again[:len(again)-1], data) {
			t.Fatalf("not its one spelling: %q", data)
		}
		if m.Ask != nil {
			if r := m.Ask.Request(); r.Check() != nil {
				t.Fatal(r.Check())
			}
		}
	})
}

// What is cut for the eye must not be cut for a grant.
func TestLongTextsAreDifferentSubjects(t *testing.T) {
	keys := map[string]bool{}
	for n := range 600 {
		r := (&SSH{Qube: "work", Purpose: "login", User: strings.Repeat("a", n)}).Request()
		keys[r.Key()] = true
	}
	if len(keys) != 600 {
		t.Errorf("%d subjects of 600 users", len(keys))
	}
}
