package passclient

import (
	"strings"
	"testing"
)

// What a vault answers to a search is taken whole or not at all.
func FuzzParseFound(f *testing.F) {
	for _, s := range []string{"", "a/b\tme\n", "a\t\nb\tx y\n", "a\n", "a\tb", "../a\tb\n", "a\tb\tc\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, untrusted string) {
		found, err := parseFound(untrusted)
		if err != nil {
			if found != nil {
				t.Error("an error, and an answer")
			}
			return
		}
		var again strings.Builder
		for _, one := range found {
			again.WriteString(string(one.Name) + "\t" + one.Login + "\n")
		}
		if again.String() != untrusted {
			t.Errorf("%q became %q", untrusted, again.String())
		}
	})
}
