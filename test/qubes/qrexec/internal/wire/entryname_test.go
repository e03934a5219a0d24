package wire_test

import (
	"testing"

	"github.com/splitvault/splitvault/pkg/entryname"
	"github.com/splitvault/splitvault/test/qubes/qrexec/internal/wire"
)

// What a name is spelt as reaches the service as it is, and what dom0 has altered
// on the way is never taken for the name of another entry.
func FuzzEntryNamesCross(f *testing.F) {
	for _, s := range []string{"github.com", "a/b", "a b", "a_b", "a+b", "\xff", "__", "work/aws", "é", "a%20b", "-c", "+", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, untrusted string) {
		const service = "pass.GetPassword"
		name, got, err := wire.SplitDescriptor([]byte(service + "+" + entryname.Encode(untrusted)))
		if err != nil || name != service || got != entryname.Encode(untrusted) {
			t.Fatalf("%q arrives as %q, %v", untrusted, got, err)
		}
		if back, err := entryname.Decode(got); back != untrusted || err != nil {
			t.Errorf("%q arrives as %q, %v", untrusted, back, err)
		}
		// A client that does not encode.
		_, altered, err := wire.SplitDescriptor([]byte(service + "+" + untrusted))
		if err != nil || altered == untrusted {
			return
		}
		if decoded, err := entryname.Decode(altered); err == nil && entryname.Encode(decoded) != altered {
			t.Errorf("%q becomes %q and is taken for %q", untrusted, altered, decoded)
		}
	})
}
