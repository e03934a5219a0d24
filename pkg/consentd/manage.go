package consentd

import (
	"time"

	"github.com/splitvault/splitvault/pkg/consent"
)

// State returns the grants and holds of the moment.
func (d *Desk) State() (consent.State, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	holds, err := d.holds.Live(now)
	if holds == nil {
		holds = []consent.Hold{}
	}
	return consent.State{Grants: d.grants.list(now), Holds: holds}, err
}

// Revoke ends grants.
func (d *Desk) Revoke(which consent.Which) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.grants.revoke(time.Now(), which)
}

// Pause begins a pause, and takes away what is shown or waits of the qube, or
// lifts pauses and silences and returns how many.
func (d *Desk) Pause(p consent.Pause) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	if p.End {
		return d.holds.End(now, p.Qube)
	}
	if err := d.holds.Add(now, p.Hold(now)); err != nil {
		return 0, err
	}
	matches := func(i *item) bool { return p.Qube == "" || i.request.Qube == p.Qube }
	d.drop(matches, consent.Paused)
	if d.shown != nil && matches(d.shown) {
		d.shown.answer(consent.Answer{Reason: consent.Paused})
		if d.shown.cancel != nil {
			d.shown.cancel(nil)
		}
	}
	return 1, nil
}

// Idle tells whether nothing needs this process: no question, grant or hold,
// and none shown for the time to linger.
func (d *Desk) Idle() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	if d.shown != nil || len(d.queue.turns) > 0 || len(d.grants.list(now)) > 0 || now.Sub(d.last) < d.times.Linger {
		return false
	}
	holds, err := d.holds.Live(now)
	return err == nil && len(holds) == 0
}
