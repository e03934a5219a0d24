package main

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/splitvault/splitvault/test/rails/orphans"
	"github.com/splitvault/splitvault/test/stub"
)

// fakeJust returns a gate whose just is the given shell script.
func fakeJust(t *testing.T, script string) gate {
	t.Helper()
	if err := orphans.Adopt(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	just := filepath.Join(dir, "just")
	stub.Script(t, just, script)
	return gate{just: just, tmp: dir, skipped: filepath.Join(dir, "skipped")}
}

func TestAStepHasNoStdinAndItsOwnTemporaryDirectory(t *testing.T) {
	g := fakeJust(t, `[ "$1" = unit ] && [ "$TMPDIR" = "$(dirname "$0")" ] && [ -z "$(cat)" ]`)
	if err := g.run(t.Context(), []string{"unit"}); err != nil {
		t.Error(err)
	}
	if err := g.run(t.Context(), []string{"other"}); err == nil || err.Error() != "exit status 1" {
		t.Errorf("a failing step: %v", err)
	}
}

func TestAnOrphanOfAStepVanishesWhenItEnds(t *testing.T) {
	// What a test sees that kills a grandchild: with nobody waiting for the
	// orphan it would stay as a zombie, and kill -0 would go on to succeed.
	g := fakeJust(t, `pid=$(sh -c 'sleep 60 >/dev/null & echo $!')
kill -9 "$pid"
for i in 1 2 3 4 5 6 7 8 9 10; do kill -0 "$pid" 2>/dev/null || exit 0; sleep 0.1; done
exit 1`)
	if err := g.run(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

func TestAStepThatTakesTooLongIsEndedWithItsChildren(t *testing.T) {
	cause := errors.New("it took more than a moment")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 200*time.Millisecond, cause)
	defer cancel()
	began := time.Now()
	g := fakeJust(t, "sleep 60 & sleep 61")
	if err := g.run(ctx, nil); !errors.Is(err, cause) {
		t.Errorf("got %v, want %v", err, cause)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("ended after %v", took)
	}
	for until := time.Now().Add(5 * time.Second); len(orphans.Descendants()) != 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("still running: %q", processes())
		}
	}
}
