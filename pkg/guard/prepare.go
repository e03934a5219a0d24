package guard

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/splitvault/splitvault/pkg/consent"
	"github.com/splitvault/splitvault/pkg/journal"
	"github.com/splitvault/splitvault/pkg/rate"
	"github.com/splitvault/splitvault/pkg/rundir"
	"github.com/splitvault/splitvault/pkg/slots"
)

// placeTime is how long a call waits for a place among those of the same qube.
const placeTime = 20 * time.Second

// ErrBusy says that the qube holds as many calls as it may.
var ErrBusy = errors.New("too many calls of this qube at once")

// Place waits for one of the qube's places of a service ("ssh"), of which it has
// n: a hostile qube that holds calls must not take all that the others need.
// Without a directory for them calls are not bounded. Release of the nil Slot
// that comes with an error, or then, does nothing.
func (c *Call) Place(ctx context.Context, service string, n int) (*slots.Slot, error) {
	dir, err := rundir.Make(rundir.Base(os.Getenv), "guards")
	if err != nil {
		c.Log.WithField(journal.Err, err).Warn("no state directory: the calls of a qube are not bounded")
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, placeTime)
	defer cancel()
	// No qube's name has a "+".
	place, err := slots.New(dir, service+"+"+string(c.Caller.Qube), n).Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBusy, err)
	}
	return place, nil
}

// Rates opens the counters of the rules with these identities for the calling
// qube. One that cannot be opened is missing in the result, and its rate counts
// as used up.
func (c *Call) Rates(ids []string) map[string]*rate.Counter {
	if len(ids) == 0 {
		return nil
	}
	dir, err := rundir.Make(rundir.Base(os.Getenv), "rate")
	if err != nil {
		c.Log.WithField(journal.Err, err).Error("no directory for rates: they count as used up")
		return nil
	}
	counters := make(map[string]*rate.Counter, len(ids))
	for _, id := range ids {
		counter, err := rate.Open(dir, id+"/"+string(c.Caller.Qube))
		if err != nil {
			c.Log.WithField(journal.Err, err).Error("no counter for a rate: it counts as used up")
			continue
		}
		counters[id] = counter
	}
	return counters
}

// Person connects to consentd, and starts it where it does not run. It is for
// calls that a rule may ask about; nil: nobody can be asked, and what the rules
// ask is denied.
func (c *Call) Person(ctx context.Context) *consent.Client {
	person, err := consent.Dial(ctx, os.Getenv)
	if err != nil {
		c.Log.WithField(journal.Err, err).Warn("nobody can be asked: what the rules ask is denied")
		return nil
	}
	return person
}

// Desktop is Person for calls of which the rules only have something told
// (consent.Client.Notify), and which must not wait long for that; nil: nobody can
// be told.
func (c *Call) Desktop(ctx context.Context) *consent.Client {
	desktop, err := consent.DialForNotices(ctx, os.Getenv)
	if err != nil {
		c.Log.WithField(journal.Err, err).Warn("nobody can be told of what the rules allow")
		return nil
	}
	return desktop
}
