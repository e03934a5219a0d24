package loginhost_test

import (
	"errors"
	"testing"

	"github.com/splitvault/splitvault/pkg/entryname"
	"github.com/splitvault/splitvault/pkg/loginhost"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]loginhost.Host{
		"example.com": "example.com", "example.com:8443": "example.com:8443", "example.com:443": "example.com", "localhost": "localhost",
		"127.0.0.1:80": "127.0.0.1:80", "[::1]:8080": "[::1]:8080", "[2001:db8::1]": "[2001:db8::1]", "xn--mnchen-3ya.example": "xn--mnchen-3ya.example",
	} {
		if got, err := loginhost.Parse(text); got != want || err != nil {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"", ".", "a..b", ".a", "a.", "-a.b", "a-.b", "a b", "a/b", "EXAMPLE.com", "example.com:", "example.com:0", "example.com:080", "example.com:65536",
		"example.com:x", "é.example", "a@b", "*.example.com", "::1", "[::1", "[::1]x", "[::1]:", "[0:0::1]", "[fe80::1%eth0]", "[127.0.0.1]", "a\n", "a:443:443",
	} {
		if got, err := loginhost.Parse(text); got != "" || !errors.Is(err, loginhost.ErrHost) {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}

func TestNameOfAnEntry(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		host        loginhost.Host
		name        entryname.Name
		login       string
		match       bool
		description string
	}{
		{"github.com", "github.com", "", true, "the name"},
		{"github.com", "work/GitHub.com/alice", "alice", true, "a directory, and case"},
		{"github.com:8443", "github.com:8443/bob", "bob", true, "a port"},
		{"github.com", "github.com:443/bob", "bob", true, "the usual port"},
		{"github.com:8443", "github.com", "", false, "another port is another service"},
		{"github.com", "github.com:8443", "", false, "and the other way round"},
		{"gist.github.com", "github.com", "", false, "a domain above"},
		{"evil.github.io", "github.io", "", false, "a public suffix"},
		{"github.com", "gist.github.com", "", false, "a domain below"},
		{"github.com", "github.com.evil.example", "", false, "begins alike"},
		{"github.com", "notgithub.com", "", false, "ends alike"},
		{"github.com", "github.com ", "", false, "a blank"},
		{"xn--mnchen-3ya.example", "münchen.example", "", false, "names are not translated"},
	} {
		if login, match := row.host.Name(row.name); login != row.login || match != row.match {
			t.Errorf("%s: %q for %q: %q, %v", row.description, row.name, row.host, login, match)
		}
	}
}

func TestURLOfAnEntry(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		host  loginhost.Host
		url   string
		match bool
	}{
		{"example.com", "example.com", true},
		{"example.com", "https://example.com", true},
		{"example.com", "HTTPS://Example.COM/login?next=/", true},
		{"example.com", "http://example.com#x", true},
		{"example.com:8443", "https://example.com:8443/", true},
		{"example.com", "https://example.com:443/", true},
		{"example.com", "https://example.com:8443/", false},
		{"www.example.com", "https://example.com", false},
		{"www.example.com", "https://*.example.com/", true},
		{"a.b.example.com", "https://*.example.com/", true},
		{"example.com", "https://*.example.com/", false},
		{"evilexample.com", "https://*.example.com/", false},
		{"example.com", "https://*.com", false},
		{"example.com", "*", false},
		{"evil.example", "https://good.example@evil.example/", false},
		{"good.example", "https://good.example@evil.example/", false},
		{"good.example", "https://good.example\\@evil.example/", false},
		{"good.example", "https://good.example.evil.example/", false},
		{"good.example", "https://evil.example/good.example", false},
		{"good.example", "https://evil.example/?https://good.example", false},
		{"good.example", "ftp://good.example", false},
		{"good.example", "", false},
	} {
		if got := row.host.URL([]byte(row.url)); got != row.match {
			t.Errorf("%q for %q: %v", row.url, row.host, got)
		}
	}
}

func FuzzHost(f *testing.F) {
	for _, s := range []string{"example.com", "[::1]:80", "a:443", "*.x", "https://a@b", "A.b"} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, untrusted, other string) {
		host, err := loginhost.Parse(untrusted)
		if err != nil {
			return
		}
		if again, err := loginhost.Parse(string(host)); again != host || err != nil {
			t.Errorf("%q is %q, which is %q, %v", untrusted, host, again, err)
		}
		if !host.URL([]byte("https://" + string(host) + "/")) {
			t.Errorf("%q does not match itself", host)
		}
		if h, err := loginhost.Parse(other); err == nil && h != host && h.URL([]byte(host)) {
			t.Errorf("%q is taken for %q", h, host)
		}
	})
}
