package gitcredential

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestWhatGitSays(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]Request{
		"protocol=https\nhost=Example.com:8443\n\n":                                                      {Protocol: "https", Host: "example.com:8443"},
		"protocol=https\nhost=example.com":                                                               {Protocol: "https", Host: "example.com"},
		"host=h\nusername=alice\npath=a/b.git\n":                                                         {Host: "h", Username: "alice", Path: "a/b.git"},
		"host=h\npassword= a=b \n\nhost=later\n":                                                         {Host: "h", Password: []byte(" a=b ")},
		"capability[]=authtype\nwwwauth[]=Basic realm=\"x\"\npassword_expiry_utc=1\nstate[]=x\nhost=h\n": {Host: "h"},
		"":            {},
		"username=\n": {},
	} {
		got, err := Read(strings.NewReader(in))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %+v, %v, want %+v", in, got, err, want)
		}
	}
	for _, in := range []string{"host\n", "=x\n", "host=a\x00b\n", "host=" + strings.Repeat("x", maxInput)} {
		if got, err := Read(strings.NewReader(in)); !errors.Is(err, ErrInput) {
			t.Errorf("%.20q: got %+v, %v", in, got, err)
		}
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	for want, a := range map[string]struct{ user, password string }{
		"username=alice\npassword=hunter2\n": {"alice", "hunter2"},
		"password= =\r\n":                    {"", " =\r"},
	} {
		var b bytes.Buffer
		if err := Write(&b, a.user, []byte(a.password)); err != nil || b.String() != want {
			t.Errorf("got %q, %v, want %q", b.String(), err, want)
		}
	}
}

// An entry must not be able to tell git of another host.
func TestAttackAValueWithALineFeedIsNotTold(t *testing.T) {
	t.Parallel()
	for _, a := range []struct{ user, password string }{
		{"alice\nhost=evil", "x"}, {"alice", "x\nquit=1"}, {"a\x00", "x"}, {"a", "x\x00"},
	} {
		var b bytes.Buffer
		if err := Write(&b, a.user, []byte(a.password)); !errors.Is(err, ErrValue) || b.Len() != 0 {
			t.Errorf("%q: got %q, %v", a, b.String(), err)
		}
	}
}

func TestPasswordsDoNotTravelInTheClear(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		protocol, host string
		want           bool
	}{
		{"https", "example.com", true},
		{"smtp", "smtp.example.com:587", true},
		{"http", "example.com", false},
		{"http", "localhost", true},
		{"http", "localhost:8080", true},
		{"http", "127.0.0.1:80", true},
		{"http", "[::1]:80", true},
		{"http", "localhost.example.com", false},
		{"http", "localhost:80:evil", false},
		{"ftp", "example.com", false},
		{"", "example.com", false},
	} {
		if got := Safe(tt.protocol, tt.host); got != tt.want {
			t.Errorf("%s to %s: %v", tt.protocol, tt.host, got)
		}
	}
	for host, want := range map[string]string{"a:1": "a", "a": "a", "[::1]:80": "[::1]", "[::1]": "[::1]", "a:": "a:", "a:x": "a:x", "::1": "::1"} {
		if got := WithoutPort(host); got != want {
			t.Errorf("WithoutPort(%q) = %q, want %q", host, got, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, s := range []string{"protocol=https\nhost=h:1\nusername=a\n\n", "host\n", "=\n", "a=b\x00\n", "password=x"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, untrusted []byte) {
		r, err := Read(bytes.NewReader(untrusted))
		if err == nil && strings.ContainsAny(r.Host+r.Username+r.Protocol+r.Path, "\n\x00") {
			t.Errorf("%+v", r)
		}
	})
}
