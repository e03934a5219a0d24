package audit_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/splitvault/splitvault/pkg/audit"
	"github.com/splitvault/splitvault/pkg/journal"
)

func sample() audit.Line {
	return audit.Line{
		Time: time.Date(2026, 11, 22, 3, 15, 0, 123456000, time.UTC), Seq: 42, Daemon: "ssh-guard", Level: "info", Message: "signed",
		Fields: map[string]string{
			journal.Qube: "work", journal.Key: "SHA256:abc", journal.User: `"git"`, journal.Verdict: "allow",
		},
		Anchored: time.Date(2026, 11, 22, 3, 10, 0, 0, time.UTC), Prev: audit.Hash{1, 2, 255},
	}
}

func TestALineIsJSONAndReadsBackTheSame(t *testing.T) {
	t.Parallel()
	want := `{"time":"2026-11-22T03:15:00.123456Z","seq":42,"daemon":"ssh-guard","level":"info","message":"signed",` +
		`"qube":"work","key":"SHA256:abc","user":"\"git\"","verdict":"allow",` +
		`"anchored":"2026-11-22T03:10:00.000000Z","prev":"0102ff` + strings.Repeat("00", 29) + `"}`
	b := sample().Encode()
	if string(b) != want {
		t.Errorf("got  %s\nwant %s", b, want)
	}
	var any map[string]any
	if err := json.Unmarshal(b, &any); err != nil || any["user"] != `"git"` {
		t.Errorf("as JSON: %v, %v", any, err)
	}
	l, err := audit.Parse(b)
	if err != nil || !bytes.Equal(l.Encode(), b) {
		t.Errorf("got %+v, %v", l, err)
	}
}

func TestNoTextGetsOutOfItsLine(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]string{
		"newline and a forged line": "x\n" + string(sample().Encode()),
		"end of the string":         `","verdict":"allow`,
		"terminal escape":           "\x1b]0;owned\a\x9b31m\x7f",
		"right-to-left override":    "user\u202egpj.exe",
		"outside the basic plane":   "🔑\U0010ffff",
		"no UTF-8":                  "\xff\xfe\xc3(",
		"half a surrogate":          "\xed\xa0\x80",
		"very long":                 strings.Repeat("é", 100_000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := sample()
			for _, field := range journal.Fields() {
				l.Fields[field] = value
			}
			b := l.Encode()
			if len(b) > audit.MaxLine || bytes.ContainsFunc(b, func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Errorf("%d bytes: %q", len(b), b[:min(len(b), 500)])
			}
			again, err := audit.Parse(b)
			if err != nil {
				t.Fatal(err)
			}
			if got := again.Fields[journal.Verdict]; len(value) < 50 && got != strings.ToValidUTF8(value, "\ufffd") && name != "no UTF-8" && name != "half a surrogate" {
				t.Errorf("got %q", got)
			}
			var generic map[string]any
			if err := json.Unmarshal(b, &generic); err != nil || generic["verdict"] != again.Fields[journal.Verdict] {
				t.Errorf("JSON reads something else: %v, %q", err, generic["verdict"])
			}
		})
	}
}

func TestOtherSpellingsAreNoLines(t *testing.T) {
	t.Parallel()
	good := string(sample().Encode())
	for name, change := range map[string]func(string) string{
		"space":        func(s string) string { return strings.Replace(s, `:42`, `: 42`, 1) },
		"leading zero": func(s string) string { return strings.Replace(s, `:42`, `:042`, 1) },
		"other order": func(s string) string {
			return strings.Replace(s, `"daemon":"ssh-guard","level":"info"`, `"level":"info","daemon":"ssh-guard"`, 1)
		},
		"unknown field":         func(s string) string { return strings.Replace(s, `,"key"`, `,"payload":"x","key"`, 1) },
		"field twice":           func(s string) string { return strings.Replace(s, `,"key"`, `,"qube":"x","key"`, 1) },
		"empty field":           func(s string) string { return strings.Replace(s, `"SHA256:abc"`, `""`, 1) },
		"needless escape":       func(s string) string { return strings.Replace(s, `work`, `\u0077ork`, 1) },
		"capital escape":        func(s string) string { return strings.Replace(s, `work`, `\u00E9`, 1) },
		"slash escaped":         func(s string) string { return strings.Replace(s, `SHA256:abc`, `a\/b`, 1) },
		"lone surrogate":        func(s string) string { return strings.Replace(s, `work`, `\ud800`, 1) },
		"other zone":            func(s string) string { return strings.Replace(s, `456Z`, `456+00:00`, 1) },
		"no such time":          func(s string) string { return strings.Replace(s, `-22T03`, `-32T03`, 1) },
		"capital hash":          func(s string) string { return strings.Replace(s, `0102ff`, `0102FF`, 1) },
		"short hash":            func(s string) string { return strings.Replace(s, `0102ff`, `0102`, 1) },
		"something behind":      func(s string) string { return s + " " },
		"cut":                   func(s string) string { return s[:len(s)-1] },
		"nothing":               func(string) string { return "" },
		"number out of range":   func(s string) string { return strings.Replace(s, `:42`, `:18446744073709551616`, 1) },
		"string without an end": func(string) string { return `{"time":"` },
		"escape without an end": func(string) string { return `{"time":"\u00` },
		"raw control character": func(s string) string { return strings.Replace(s, `work`, "w\x01rk", 1) },
	} {
		text := change(good)
		if text == good {
			t.Errorf("%s: nothing was changed", name)
		}
		if l, err := audit.Parse([]byte(text)); err == nil {
			t.Errorf("%s: accepted as %+v", name, l)
		}
	}
}

// FuzzParse: what is taken for a line is exactly what would be written, is
// JSON, and says the same there.
func FuzzParse(f *testing.F) {
	f.Add(sample().Encode())
	l := sample()
	l.Fields = map[string]string{journal.Err: "\x1b[0m \u202e 🔑 \\ \" …", journal.AuditHead: "1:00"}
	f.Add(l.Encode())
	f.Add([]byte(`{"time":"2026-11-22T03:15:00.123456Z","seq":0,"daemon":"","level":"","message":""`))
	f.Fuzz(func(t *testing.T, untrusted []byte) {
		l, err := audit.Parse(untrusted)
		if err != nil {
			return
		}
		if !bytes.Equal(l.Encode(), untrusted) {
			t.Errorf("%q becomes %q", untrusted, l.Encode())
		}
		var generic map[string]any
		if err := json.Unmarshal(untrusted, &generic); err != nil || generic["message"] != l.Message {
			t.Errorf("JSON reads something else: %v, %v", generic, err)
		}
	})
}
