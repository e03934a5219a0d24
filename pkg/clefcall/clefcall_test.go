package clefcall_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/splitvault/splitvault/pkg/clefcall"
)

func TestThePreambleGoesBeforeTheRequest(t *testing.T) {
	t.Parallel()
	request := `{"jsonrpc":"2.0","id":1,"method":"account_list","params":[]}`
	for _, row := range []struct {
		p    clefcall.Preamble
		line string
	}{
		{clefcall.Preamble{Origin: "https://app.example.org", UserAgent: "node", UID: 1000, Exe: "/usr/bin/geth"}, `split-clef/1 {"origin":"https://app.example.org","ua":"node","uid":1000,"exe":"/usr/bin/geth"}` + "\n"},
		{clefcall.Preamble{UID: -1}, "split-clef/1 {}\n"},
		{clefcall.Preamble{UID: 0}, "split-clef/1 {\"uid\":0}\n"},
		{clefcall.Preamble{UID: 4294967295}, "split-clef/1 {\"uid\":4294967295}\n"},
		{clefcall.Preamble{UID: -1, Exe: "/x"}, "split-clef/1 {\"exe\":\"/x\"}\n"},
	} {
		if got := string(row.p.Append(nil)); got != row.line {
			t.Errorf("written: %s", got)
		}
		p, rest, err := clefcall.Split([]byte(row.line + request))
		if err != nil || p != row.p || string(rest) != request {
			t.Errorf("%s: %+v, %q, %v", row.line, p, rest, err)
		}
	}
	for _, bare := range []string{request, " \n" + request, "", "x"} {
		p, rest, err := clefcall.Split([]byte(bare))
		if err != nil || p != (clefcall.Preamble{UID: -1}) || string(rest) != bare {
			t.Errorf("%q: %+v, %q, %v", bare, p, rest, err)
		}
	}
}

// The line comes from the client qube, and part of it is shown in prompts.
func TestALineInAnotherSpellingIsRefused(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"s", "split-clef/1 {}", "split-clef/2 {}\n", "split-clef/1  {}\n", "split-clef/1 {} \n", "split-clef/1 {}\r\n", "split-clef/1\n", "split-clef/1 []\n", "split-clef/1 null\n",
		`split-clef/1 {"Origin":"https://x"}` + "\n", `split-clef/1 {"origin":"https://x","origin":"https://y"}` + "\n", `split-clef/1 {"origin":"null"}` + "\n",
		`split-clef/1 {"origin":""}` + "\n", `split-clef/1 {"ua":""}` + "\n", `split-clef/1 {"ua":"a\u0062"}` + "\n", `split-clef/1 {"ua":"<b>"}` + "\n", `split-clef/1 {"ua":"%22"}` + "\n",
		`split-clef/1 {"ua":"\u202e"}` + "\n", `split-clef/1 {"ua":"` + strings.Repeat("a", clefcall.MaxUserAgent+1) + `"}` + "\n", `split-clef/1 {"ua":1}` + "\n",
		`split-clef/1 {"exe":"` + strings.Repeat("a", clefcall.MaxExe+1) + `"}` + "\n", `split-clef/1 {"exe":"/a","ua":"b"}` + "\n", `split-clef/1 {"x":1}` + "\n",
		`split-clef/1 {"uid":"1"}` + "\n", `split-clef/1 {"uid":-1}` + "\n", `split-clef/1 {"uid":1.0}` + "\n", `split-clef/1 {"uid":01}` + "\n", `split-clef/1 {"uid":4294967296}` + "\n",
		"split-clef/1 {}" + strings.Repeat(" ", clefcall.MaxLine) + "\n",
	} {
		if p, rest, err := clefcall.Split([]byte(line + `{"id":1}`)); !errors.Is(err, clefcall.ErrPreamble) || rest != nil {
			t.Errorf("%.120q: %+v, %q, %v", line, p, rest, err)
		}
	}
}

func TestCleanLeavesNothingThatAFrontEndDecodes(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"Mozilla/5.0 (X11; Linux) Gecko": "Mozilla/5.0 (X11; Linux) Gecko", "a%22b": "a_22b", `<b>&"'\`: "_b_____", "\u202e\n\x00": "_____", "": "",
		strings.Repeat("x", 99): strings.Repeat("x", 60),
	} {
		if got := clefcall.Clean(in, clefcall.MaxUserAgent); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}

func FuzzSplit(f *testing.F) {
	for _, s := range []string{
		`split-clef/1 {"origin":"https://app.example.org","ua":"node","uid":1000,"exe":"/usr/bin/geth"}` + "\n{}", "split-clef/1 {}\n", `{"id":1}`, "split-clef/1 {\"uid\":0}\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, rest, err := clefcall.Split(text)
		if err != nil {
			return
		}
		if line := text[:len(text)-len(rest)]; len(line) > 0 && !bytes.Equal(p.Append(nil), line) || !bytes.HasSuffix(text, rest) {
			t.Fatalf("%q: %+v", text, p)
		}
		if clefcall.Clean(p.UserAgent, clefcall.MaxUserAgent) != p.UserAgent || clefcall.Clean(p.Exe, clefcall.MaxExe) != p.Exe {
			t.Fatalf("%+v", p)
		}
	})
}
