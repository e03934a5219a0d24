package consentd

import (
	"context"
	"slices"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/splitvault/splitvault/pkg/consent"
	"github.com/splitvault/splitvault/pkg/journal"
)

// Run shows one prompt after the other until ctx ends; then it denies what still waits.
func (d *Desk) Run(ctx context.Context) {
	for ctx.Err() == nil {
		i := d.next()
		if i == nil {
			select {
			case <-ctx.Done():
			case <-d.wake:
			}
			continue
		}
		d.finish(i, d.show(ctx, i))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, i := range d.queue.take(func(*item) bool { return true }) {
		i.answer(consent.Answer{Reason: consent.Ending})
	}
}

// next takes the next question from the queue.
func (d *Desk) next() *item {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.shown = d.queue.pop()
	return d.shown
}

// show has the person asked. An Allow that was too quick was meant for
// something else: the prompt is shown again, for as long as a new one.
func (d *Desk) show(ctx context.Context, i *item) consent.Reason {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	d.mu.Lock()
	i.cancel = cancel
	gone := len(i.waiters) == 0
	d.mu.Unlock()
	if gone {
		return consent.Withdrawn
	}
	for range maxQuick {
		reason := d.asker.Ask(ctx, i.screen, i.request)
		if reason != consent.TooQuick || ctx.Err() != nil {
			return reason
		}
		d.entry(i).WithField(journal.Cause, reason).Warn("prompt is shown again")
	}
	return consent.TooQuick
}

// finish draws the consequences of an answer and tells it.
func (d *Desk) finish(i *item, reason consent.Reason) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	d.shown, d.last = nil, now
	answer := consent.Answer{Reason: reason}
	// What was paused while the prompt was up stays paused.
	if held := d.held(now, i.request.Qube); answer.Allowed() && held != "" {
		answer = consent.Answer{Reason: held}
	}
	if answer.Reason == consent.Lasting {
		if g := d.grants.add(now, i); g != nil {
			answer.Until = g.Until
		} else {
			answer.Reason = consent.Once
		}
	}
	entry := d.entry(i).WithField(journal.Count, len(i.waiters))
	if answer.Allowed() {
		entry.WithFields(logrus.Fields{journal.Verdict: "allow", journal.Cause: answer.Reason}).Info("prompt answered")
	} else {
		entry.WithFields(logrus.Fields{journal.Verdict: "deny", journal.Cause: answer.Reason}).Warn("prompt answered")
	}
	i.answer(answer)
	if reason == consent.Denied || reason == consent.Closed {
		d.denied(now, i.request.Qube)
	}
}

// denied counts a denial. One too many silences the qube, what it has in the
// queue included.
func (d *Desk) denied(now time.Time, qube string) {
	for other, times := range d.denials {
		times = slices.DeleteFunc(times, func(t time.Time) bool { return now.Sub(t) >= d.times.Recent })
		if d.denials[other] = times; len(times) == 0 {
			delete(d.denials, other)
		}
	}
	d.denials[qube] = append(d.denials[qube], now)
	if len(d.denials[qube]) < maxDenials {
		return
	}
	delete(d.denials, qube)
	entry := d.log.WithFields(logrus.Fields{journal.Qube: qube, journal.Cause: consent.Silenced})
	if err := d.holds.Add(now, consent.Hold{Kind: consent.KindSilence, Qube: qube, Until: now.Add(d.times.Silence)}); err != nil {
		entry.WithField(journal.Err, err).Error("qube cannot be silenced")
		return
	}
	entry.WithField(journal.DurationMS, d.times.Silence.Milliseconds()).Warn("qube is silenced")
	d.drop(func(i *item) bool { return i.request.Qube == qube }, consent.Silenced)
}

// drop answers what waits in the queue. d.mu is held.
func (d *Desk) drop(matches func(*item) bool, reason consent.Reason) {
	for _, i := range d.queue.take(matches) {
		i.answer(consent.Answer{Reason: reason})
	}
}

func (d *Desk) entry(i *item) *logrus.Entry {
	return d.log.WithFields(logrus.Fields{journal.Qube: i.request.Qube, journal.Service: i.request.Service})
}
