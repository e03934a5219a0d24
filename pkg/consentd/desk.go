package consentd

import (
	"context"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/splitvault/splitvault/pkg/consent"
	"github.com/splitvault/splitvault/pkg/journal"
)

// Times are the desk's times, all of them at least 1 ns.
type Times struct {
	Answer  time.Duration // a prompt is shown
	Armed   time.Duration // an Allow quicker than that after the prompt was shown is none
	Queue   time.Duration // a question waits for others
	Linger  time.Duration // consentd lives on after the last prompt
	Recent  time.Duration // denials this far back count
	Silence time.Duration // what too many of them earn
}

// DefaultTimes are those of the documents.
func DefaultTimes() Times {
	return Times{
		Answer: time.Minute, Armed: 700 * time.Millisecond, Queue: 2 * time.Minute,
		Linger: 5 * time.Minute, Recent: time.Minute, Silence: 5 * time.Minute,
	}
}

const (
	maxQueued  = 3 // distinct questions of a qube, without the one that is shown
	maxDenials = 3 // then a qube is silenced
	maxQuick   = 3 // Allows that came too quick; then it is a denial
)

// Asker shows one prompt. It returns Once, Lasting or a reason to deny, or
// TooQuick, which has the prompt shown again. When ctx ends nothing is shown any more.
type Asker interface {
	Ask(ctx context.Context, screen consent.Screen, r consent.Request) consent.Reason
}

// Desk is where the questions come in. Make it with NewDesk.
type Desk struct {
	times Times
	holds *consent.Holds
	asker Asker
	log   logrus.FieldLogger

	mu      sync.Mutex
	queue   queue
	shown   *item
	grants  grants
	denials map[string][]time.Time // by qube
	last    time.Time              // end of the last prompt, or the start
	wake    chan struct{}
}

// item is a question with all who ask it.
type item struct {
	key     string
	request consent.Request
	screen  consent.Screen
	waiters map[*waiter]struct{}
	cancel  context.CancelCauseFunc // of the prompt, while it is shown
}

type waiter struct{ answer chan consent.Answer }

// NewDesk returns a desk; somebody must call Run.
func NewDesk(times Times, holds *consent.Holds, asker Asker, log logrus.FieldLogger) *Desk {
	return &Desk{
		times: times, holds: holds, asker: asker, log: log,
		denials: map[string][]time.Time{}, last: time.Now(), wake: make(chan struct{}, 1),
	}
}

// Ask answers a request from what is known, or has the person asked. When ctx
// ends the question is withdrawn. The request has passed its Check.
func (d *Desk) Ask(ctx context.Context, screen consent.Screen, r consent.Request) consent.Answer {
	w := &waiter{answer: make(chan consent.Answer, 1)}
	i, answer := d.enter(w, screen, r)
	if i == nil {
		return answer
	}
	timer := time.NewTimer(d.times.Queue)
	defer timer.Stop()
	for {
		select {
		case answer := <-w.answer:
			return answer
		case <-ctx.Done():
			d.leave(i, w)
			return consent.Answer{Reason: consent.Withdrawn}
		case <-timer.C:
			if d.leaveQueue(i, w) {
				return consent.Answer{Reason: consent.Waited}
			}
		}
	}
}

// enter answers at once or returns the item that w waits for.
func (d *Desk) enter(w *waiter, screen consent.Screen, r consent.Request) (*item, consent.Answer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	if reason := d.held(now, r.Qube); reason != "" {
		return nil, consent.Answer{Reason: reason}
	}
	key := r.Key()
	if g := d.grants.use(now, key, r.Longest()); g != nil {
		return nil, consent.Answer{Reason: consent.Granted, Until: g.Until}
	}
	if i := d.same(key, r.Longest()); i != nil {
		i.waiters[w] = struct{}{}
		return i, consent.Answer{}
	}
	if d.queue.count(r.Qube) >= maxQueued {
		return nil, consent.Answer{Reason: consent.QueueFull}
	}
	i := &item{key: key, request: r, screen: screen, waiters: map[*waiter]struct{}{w: {}}}
	d.queue.push(i)
	d.poke()
	return i, consent.Answer{}
}

// same finds the prompt to join. Who may not get as long a grant asks alone.
func (d *Desk) same(key string, longest time.Duration) *item {
	if i := d.shown; i != nil && i.key == key && i.request.Longest() == longest && len(i.waiters) > 0 {
		return i
	}
	return d.queue.find(func(i *item) bool { return i.key == key && i.request.Longest() == longest })
}

// held returns why a qube is not asked about now, "" if it is.
func (d *Desk) held(now time.Time, qube string) consent.Reason {
	holds, err := d.holds.Live(now)
	if err != nil {
		d.log.WithField(journal.Err, err).Error("the pauses cannot be read: every question is denied")
		return consent.StateUnread
	}
	reason := consent.Reason("")
	for _, h := range holds {
		switch {
		case h.Qube != "" && h.Qube != qube:
		case h.Kind == consent.KindPause:
			return consent.Paused
		default:
			reason = consent.Silenced
		}
	}
	return reason
}

// leave withdraws one waiter; the last one takes the prompt along.
func (d *Desk) leave(i *item, w *waiter) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(i.waiters, w)
	if len(i.waiters) > 0 {
		return
	}
	d.queue.remove(i)
	if d.shown == i && i.cancel != nil {
		i.cancel(context.Canceled)
	}
}

// leaveQueue is leave, but for a question that is not shown yet.
func (d *Desk) leaveQueue(i *item, w *waiter) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.shown == i {
		return false
	}
	if _, waits := i.waiters[w]; !waits {
		return false // answered at this moment
	}
	delete(i.waiters, w)
	if len(i.waiters) == 0 {
		d.queue.remove(i)
	}
	return true
}

func (d *Desk) poke() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// answer tells all who wait for an item. d.mu is held.
func (i *item) answer(a consent.Answer) {
	for w := range i.waiters {
		w.answer <- a // has room for the one answer it ever gets
		delete(i.waiters, w)
	}
}
