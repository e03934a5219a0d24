package turn

import "testing"

// What a turn costs each signature where nobody waits. A signature takes a
// millisecond or two.
func BenchmarkTake(b *testing.B) {
	turn, err := Open(b.TempDir(), "work/agent")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		release, _, err := turn.Take(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		release()
	}
}
