package passproto

import (
	"errors"
	"strings"
	"testing"
)

func TestRequests(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]Request{
		"HELLO 1":                   {Verb: Hello},
		"PING":                      {Verb: Ping},
		"LIST":                      {Verb: List},
		"LIST work/":                {Verb: List, Scope: "work/"},
		"GET github.com":            {Verb: Get, Name: "github.com"},
		"GET spaces/a%20%20b%20c":   {Verb: Get, Name: "spaces/a  b c"},
		"GET m%C3%BCnchen":          {Verb: Get, Name: "münchen"},
		"GET 100%25":                {Verb: Get, Name: "100%"},
		"GET -c":                    {Verb: Get, Name: "-c"},
		"FIELD work/aws otp":        {Verb: Field, Name: "work/aws", Field: "otp"},
		"FIELD a recovery%20key":    {Verb: Field, Name: "a", Field: "recovery key"},
		"FIND example.com:8443":     {Verb: Find, Host: "example.com:8443"},
		"FIND [::1]:80":             {Verb: Find, Host: "[::1]:80"},
		"INSERT a 0":                {Verb: Insert, Name: "a"},
		"INSERT work/x 1048576":     {Verb: Insert, Name: "work/x", Size: MaxBody},
		"GENERATE a":                {Verb: Generate, Name: "a"},
		"GENERATE a len=32":         {Verb: Generate, Name: "a", Length: 32},
		"GENERATE a nosym":          {Verb: Generate, Name: "a", NoSymbols: true},
		"GENERATE a len=8 nosym":    {Verb: Generate, Name: "a", Length: 8, NoSymbols: true},
		"GENERATE nosym":            {Verb: Generate, Name: "nosym"},
		"GET odd/back\\slash$(id)<": {Verb: Get, Name: "odd/back\\slash$(id)<"},
	} {
		got, err := ParseRequest(line)
		if got != want || err != nil {
			t.Errorf("%q: got %+v, %v, want %+v", line, got, err, want)
		}
		if got := want.String(); got != line {
			t.Errorf("%+v is spelt %q, want %q", want, got, line)
		}
	}
}

func TestAttackNothingElseIsARequest(t *testing.T) {
	t.Parallel()
	for what, line := range map[string]string{
		"nothing":                   "",
		"lower case":                "get x",
		"unknown":                   "DELETE x",
		"a carriage return":         "PING\r",
		"a tab":                     "GET\tx",
		"a space at the end":        "PING ",
		"a space too many":          "GET  x",
		"a space before":            " PING",
		"version 2":                 "HELLO 2",
		"no version":                "HELLO",
		"no name":                   "GET",
		"two names":                 "GET a b",
		"a raw byte":                "GET m\xc3\xbcnchen",
		"a second spelling":         "GET %61",
		"lower-case digits":         "GET m%c3%bcnchen",
		"half a byte":               "GET a%2",
		"a percent sign":            "GET 100%",
		"a zero byte":               "GET git%00hub.com",
		"a line feed":               "GET a%0Ab",
		"a title for the terminal":  "GET a%1B]0;x",
		"a directory":               "GET work/",
		"out of the store":          "GET ../x",
		"another path to it":        "GET ./x",
		"the store's own":           "GET .gpg-id",
		"a scope that is none":      "LIST work",
		"another name of the field": "FIELD a username",
		"a host in capitals":        "FIND Example.com",
		"a URL":                     "FIND https://example.com/",
		"no host":                   "FIND ",
		"a long host":               "FIND " + strings.Repeat("a", 260),
		"no size":                   "INSERT a",
		"a size with a sign":        "INSERT a +5",
		"a size with zeros":         "INSERT a 05",
		"a negative size":           "INSERT a -1",
		"a size that is too large":  "INSERT a 1048577",
		"a size beyond numbers":     "INSERT a 99999999999999999999",
		"short":                     "GENERATE a len=7",
		"long":                      "GENERATE a len=1025",
		"options the other way":     "GENERATE a nosym len=9",
		"an unknown option":         "GENERATE a force",
		"an option twice":           "GENERATE a nosym nosym",
		"an overlong line":          "GET " + strings.Repeat("a/", 2048),
	} {
		if got, err := ParseRequest(line); err == nil || got != (Request{}) {
			t.Errorf("%s: got %+v, %v", what, got, err)
		} else if strings.ContainsAny(err.Error(), "\x00\x1b\n\r") {
			t.Errorf("%s: the error has control characters: %q", what, err)
		}
	}
	if _, err := ParseRequest("DELETE x"); !errors.Is(err, ErrRequest) {
		t.Errorf("got %v", err)
	}
}

// Errors go to the journal, and a password may stand where it should not: behind an
// INSERT with a wrong size, or in its place.
func TestAttackNoErrorHasAPasswordInIt(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"hunter2", "hunter2 x y", "INSERT a hunter2", "INSERT a b hunter2", "GENERATE a hunter2", "GENERATE a len=hunter2", "PING hunter2"} {
		if _, err := ParseRequest(line); err == nil || strings.Contains(err.Error(), "hunter") {
			t.Errorf("%q: %v", line, err)
		}
	}
}

// What is accepted encodes back to the same bytes, and parses again.
func FuzzRequest(f *testing.F) {
	for _, line := range []string{
		"HELLO 1", "PING", "LIST", "LIST work/", "GET spaces/a%20b", "FIELD a otp", "FIND example.com:8443",
		"INSERT a 12", "GENERATE a len=20 nosym", "GET %61", "GET a%2", "DELETE x", "INSERT a -1",
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, untrusted string) {
		r, err := ParseRequest(untrusted)
		if err != nil {
			return
		}
		if got := r.String(); got != untrusted {
			t.Errorf("%q became %q", untrusted, got)
		}
		if r.Size < 0 || r.Size > MaxBody || r.Verb == "" {
			t.Errorf("%+v", r)
		}
	})
}
