package entryname_test

import (
	"regexp"
	"testing"

	"github.com/splitvault/splitvault/pkg/entryname"
)

var alphabet = regexp.MustCompile(`\A[A-Za-z0-9.+_-]*\z`)

// Whatever the bytes: they have one spelling, and whatever is accepted is written
// the same again.
func FuzzSpelling(f *testing.F) {
	for _, s := range []string{
		"", "github.com", "work/aws", "work+aws__otp", "a_40b.org", "a_2Fb", "_", "__", "a__b__c", "+", "work+", "\xff", "a\x00", "..", ".git/x",
		"a__line.2", "a__line.02", "\u202e", "a__USER",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, untrusted string) {
		spelling := entryname.Encode(untrusted)
		if back, err := entryname.Decode(spelling); back != untrusted || err != nil || !alphabet.MatchString(spelling) {
			t.Errorf("Encode(%q) = %q, which decodes to %q, %v", untrusted, spelling, back, err)
		}
		if decoded, err := entryname.Decode(untrusted); err == nil && entryname.Encode(decoded) != untrusted {
			t.Errorf("Decode(%q) = %q, which is spelt %q", untrusted, decoded, entryname.Encode(decoded))
		}
		if a, err := entryname.ParseArgument(untrusted); err == nil && a.String() != untrusted {
			t.Errorf("ParseArgument(%q) = %+v, which is spelt %q", untrusted, a, a)
		}
		if field, err := entryname.FieldOf(untrusted); err == nil {
			if again, err := entryname.ParseField(string(field)); again != field || err != nil {
				t.Errorf("FieldOf(%q) = %q, which is refused: %v", untrusted, field, err)
			}
		}
	})
}
