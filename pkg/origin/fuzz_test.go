package origin

import (
	"net/url"
	"strings"
	"testing"
)

// What is taken for an origin is one to a browser's parser of URLs too, the same
// one, and has nothing beside it.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"https://app.example.org", "http://localhost:3000", "http://[::1]:8080", "moz-extension://a-b", "null", "https://a@b", "https://a/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, untrusted string) {
		o, err := Parse(untrusted)
		if err != nil {
			return
		}
		if string(o) != untrusted {
			t.Fatalf("%q became %q", untrusted, o)
		}
		u, err := url.Parse(untrusted)
		if err != nil || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "" {
			t.Fatalf("%q: %+v, %v", untrusted, u, err)
		}
		if u.Scheme+"://"+u.Host != untrusted || strings.ToLower(untrusted) != untrusted {
			t.Fatalf("%q is %q to another parser", untrusted, u.Scheme+"://"+u.Host)
		}
	})
}
