package faults

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/splitvault/splitvault/test/qubes/bench"
)

// patience is how long what has ended may take to go: a busy machine's seconds.
const patience = 6 * time.Second

// settled waits until both qubes look as they did when they were quiet for the first
// time, or fails the test with what there is more or less.
func (w *world) settled(t *testing.T) { t.Helper(); w.settledWithin(t, patience) }

func (w *world) settledWithin(t *testing.T, within time.Duration) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(within); ; time.Sleep(100 * time.Millisecond) {
		if err = w.left(t.Context()); err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("left: %v", err)
			return
		}
	}
}

// left tells what is there that was not there, or the other way round.
func (w *world) left(ctx context.Context) error {
	if err := w.Settled(ctx); err != nil {
		return err
	}
	for _, q := range []*bench.Qube{w.vault, w.work} {
		out, err := q.Root(ctx, "census")
		if err != nil {
			return err
		}
		now := lasting(out)
		if w.bare[q.Name()] == "" {
			w.bare[q.Name()] = now
			continue
		}
		if more := without(now, w.bare[q.Name()]); len(more) > 0 {
			return fmt.Errorf("%s has, beside what it had: %s", q.Name(), strings.Join(more, "; "))
		}
		if fewer := without(w.bare[q.Name()], now); len(fewer) > 0 {
			return fmt.Errorf("%s has no more: %s", q.Name(), strings.Join(fewer, "; "))
		}
	}
	return nil
}

// changing are lines of a census that are expected to come and go.
var changing = regexp.MustCompile(strings.Join([]string{
	`^process (consentd|systemd-executo|\(sd-pam\)|dbus-daemon|ps):`,
	`^descriptors consentd`,
	// What is counted, and when a person was notified; locks that nobody holds, also for
	// what a crash would say; what follows a file that grew.
	`^file /run/user/1000/splitvault/(log|rate|notified|slots|guards|crash|holds|consent|S.consent|warm$)`,
	`^file .local/state/splitvault/audit\.\d`,
}, "|"))

// lasting is a census without what changes by itself.
func lasting(census string) string {
	return strings.Join(slices.DeleteFunc(strings.Split(strings.TrimSpace(census), "\n"), changing.MatchString), "\n")
}

// without are the lines of a that b has not.
func without(a, b string) []string {
	had := strings.Split(b, "\n")
	return slices.DeleteFunc(strings.Split(a, "\n"), func(line string) bool { return slices.Contains(had, line) })
}
