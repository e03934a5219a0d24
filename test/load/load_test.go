package load

import (
	"testing"
	"time"

	"github.com/splitvault/splitvault/test/qubes/bench"
	"github.com/splitvault/splitvault/test/qubes/bench/roots"
)

// In a small form; "just load" does the whole. On the newest Debian only: what is
// under test is the same on all, and the whole form runs on all.
func TestNothingIsLostOrHangsUnderLoad(t *testing.T) {
	suites := roots.Suites()
	rows, err := Run(t.Context(), bench.Prepare(t), suites[len(suites)-1], Short())
	for _, r := range rows {
		t.Logf("%+v", r)
	}
	if err != nil {
		t.Error(err)
	}
}

// What is lost or late must be told, or the figures are worth nothing.
func TestALossIsTold(t *testing.T) {
	row, err := read("wall: 3000000\n1000000\n2000000\nfailed: EOF\n", "wall: 2000000\n2000000\n")
	if err != nil || row.N != 4 || row.Lost != 1 || row.P50 != 2 || row.Max != 2 || row.Wall != 3 {
		t.Fatalf("got %+v, %v", row, err)
	}
	if row.check(4, time.Minute) == nil {
		t.Error("a loss is not told")
	}
	row.Lost = 0
	for name, err := range map[string]error{"too few": row.check(5, time.Minute), "too late": row.check(4, time.Millisecond), "too many calls": row.calls(1)} {
		if err == nil {
			t.Errorf("%s is not told", name)
		}
	}
	if err := row.check(4, time.Minute); err != nil {
		t.Error(err)
	}
	if _, err := read("what?\n"); err == nil {
		t.Error("takes what it cannot read")
	}
}
