package bench

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/splitvault/splitvault/test/qubes/bench/machine"
)

// Test is a Bench whose errors end a test.
type Test struct {
	*Bench
	tb testing.TB
}

// Require skips a test where no qube can be booted. Where $CI is not empty it
// fails it: no continuous integration may pass without the bench unnoticed.
func Require(tb testing.TB) {
	tb.Helper()
	err := machine.Possible()
	if err == nil {
		return
	}
	if os.Getenv("CI") != "" {
		tb.Fatalf("no qube can be booted here, and in CI the bench must run: %v", err)
	}
	tb.Skipf("no qube can be booted here: %v", err)
}

// Prepare builds what all benches of a test share and removes it at its end.
func Prepare(tb testing.TB) *Kit {
	tb.Helper()
	Require(tb)
	kit, err := BuildKit(tb.Context(), tb.Output())
	if err != nil {
		tb.Fatalf("%v", err)
	}
	tb.Cleanup(func() {
		if err := kit.Close(); err != nil {
			tb.Errorf("removing the bench's files: %v", err)
		}
	})
	return kit
}

// New makes a bench for one test on one of roots.Suites. Where several tests or
// subtests run, Prepare once and use Kit.New.
func New(tb testing.TB, suite string) *Test {
	tb.Helper()
	return Prepare(tb).New(tb, suite)
}

// New makes a bench for one test. At the end of the test it fails the test if
// the bench is not Settled, logs the journals of a failed one, and closes it.
func (k *Kit) New(tb testing.TB, suite string) *Test {
	tb.Helper()
	b, err := k.Open(tb.Context(), suite, tb.Output())
	if err != nil {
		tb.Fatalf("%v", err)
	}
	tb.Cleanup(func() { finish(tb, b) })
	return &Test{b, tb}
}

func finish(tb testing.TB, b *Bench) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second) // the test's own is over
	defer cancel()
	if !tb.Failed() {
		if err := b.Settled(ctx); err != nil {
			tb.Errorf("left over at the end: %v", err)
		}
	}
	if tb.Failed() {
		tb.Log(b.Journals(ctx))
	}
	if err := b.Close(); err != nil {
		tb.Errorf("closing the bench: %v", err)
	}
}

// Boot boots a qube with these Qubes services on.
func (t *Test) Boot(name string, services ...string) *Qube {
	t.tb.Helper()
	return t.BootSpec(Spec{Name: name, Services: services})
}

// BootSpec boots a qube.
func (t *Test) BootSpec(spec Spec) *Qube {
	t.tb.Helper()
	q, err := t.Start(spec)
	if err != nil {
		t.tb.Fatalf("%v", err)
	}
	t.tb.Logf("%s booted in %v", spec.Name, q.boot.Round(time.Millisecond))
	return q
}

// Policy is SetPolicy.
func (t *Test) Policy(lines ...string) {
	t.tb.Helper()
	if err := t.SetPolicy(lines...); err != nil {
		t.tb.Fatalf("%v", err)
	}
}
