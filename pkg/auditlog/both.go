package auditlog

import (
	"context"
	"errors"
	"sync"
	"time"
)

// pollTime is how often a Follower looks for new lines.
const pollTime = 250 * time.Millisecond

// Start is where following begins: behind what was read before.
type Start struct {
	Seq    uint64 // of the last line of the file; 0: none
	Cursor string // of the journal; empty: since Time
	Time   time.Time
	Seen   []Event // what was read of the last seconds from both: other copies may still come
}

// Follow calls each for every new event of either source, once, until ctx
// ends. note is told when the journal cannot be followed; the file then stands
// alone.
func Follow(ctx context.Context, files *Follower, journald Journal, start Start, each func(Event) error, note func(error)) error {
	ctx, cancel := context.WithCancel(ctx)
	events, failed := make(chan Event), make(chan error, 1)
	pass := func(e Event) {
		select {
		case events <- e:
		case <-ctx.Done():
		}
	}
	var readers sync.WaitGroup
	defer readers.Wait()
	defer cancel()
	readers.Go(func() {
		if err := files.Run(ctx, pollTime, func(e Event) {
			if e.Seq > start.Seq || e.Time.After(start.Time) {
				pass(e)
			}
		}); err != nil {
			failed <- err
		}
	})
	complaints := make(chan error, 1)
	readers.Go(func() {
		if err := journald.Follow(ctx, start.Cursor, start.Time, pass); !errors.Is(err, context.Canceled) {
			complaints <- err
		}
	})
	merger := NewMerger()
	for _, e := range start.Seen {
		merger.New(e)
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			return err
		case err := <-complaints:
			if err != nil {
				note(err)
			}
		case e := <-events:
			merger.Forget(time.Now().Add(-time.Minute))
			if merger.New(e) {
				if err := each(e); err != nil {
					return err
				}
			}
		}
	}
}
