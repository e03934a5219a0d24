package bench

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// settleTime is how long what a test started may need to end after it.
const settleTime = 2 * time.Second

// Settled tells what is left of the work done so far, or nil: in no running
// qube a failed unit of the user's systemd or a splitvault connection service
// that still runs, and no qrexec call that is still open. It gives what is
// ending two seconds.
func (b *Bench) Settled(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, settleTime+5*time.Second)
	defer cancel()
	var err error
	for deadline := time.Now().Add(settleTime); ; time.Sleep(20 * time.Millisecond) {
		if err = b.leftovers(ctx); err == nil || time.Now().After(deadline) {
			return err
		}
	}
}

func (b *Bench) leftovers(ctx context.Context) error {
	var errs []error
	for _, q := range b.Qubes() {
		errs = append(errs, q.leftovers(ctx))
	}
	return errors.Join(append(errs, b.openCalls())...)
}

// leftovers is Settled for one qube. A unit that failed and was not reset makes
// the manager "degraded".
func (q *Qube) leftovers(ctx context.Context) error {
	out, err := q.User(ctx, "sh", "-c", `systemctl --user is-system-running
systemctl --user --failed --plain --no-legend
systemctl --user list-units --all --plain --no-legend 'splitvault-*@*.service'
true`)
	if err != nil {
		return err
	}
	if strings.TrimSpace(out) != "running" {
		return fmt.Errorf("%s: not settled: %s", q.spec.Name, strings.TrimSpace(out))
	}
	return nil
}

// Journals is all that the running qubes and dom0 have to say: for failed tests.
func (b *Bench) Journals(ctx context.Context) string {
	var all strings.Builder
	for _, q := range b.Qubes() {
		journal, err := q.Journal(ctx, "-o", "short-monotonic", "-n", "200")
		fmt.Fprintf(&all, "--- journal of %s\n%s", q.spec.Name, journal)
		if err != nil {
			fmt.Fprintf(&all, "(%v)\n", err)
		}
	}
	fmt.Fprintf(&all, "--- dom0\n%s", b.Dom0Log())
	return all.String()
}
