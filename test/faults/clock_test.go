package faults

import (
	"time"

	"golang.org/x/sys/unix"
)

// clockFaults turn the clock of the whole machine, as qubes have none of their own on
// the bench (time_namespaces(7) are about clocks that nobody can set). So they run only
// where they are asked for, by FAULTS=clock.
func clockFaults() []fault {
	good := map[string]want{"": {good: true}}
	var all []fault
	for name, by := range map[string]time.Duration{"clock-forth": time.Hour, "clock-back": -time.Hour} {
		turn, back := turnedClock(by)
		all = append(all,
			fault{name: name, before: turn, after: back, want: good},
			fault{name: name + "-working", stage: working, during: func(c *cell) {
				turn(c)
				c.onVault(c.s.goOn)
			}, after: back, want: good})
	}
	return all
}

// turnedClock turns the clock on the wall, and back to where it would be; the end of the
// test turns it back in any case.
func turnedClock(by time.Duration) (turn, back func(c *cell)) {
	var turnedAt time.Time
	set := func(c *cell, now time.Time) {
		ts := unix.NsecToTimespec(now.UnixNano())
		if err := unix.ClockSettime(unix.CLOCK_REALTIME, &ts); err != nil {
			c.t.Fatalf("setting the clock: %v", err)
		}
	}
	back = func(c *cell) {
		if !turnedAt.IsZero() {
			set(c, turnedAt.Add(time.Since(turnedAt))) // Since goes by the monotonic clock
			turnedAt = time.Time{}
		}
	}
	turn = func(c *cell) {
		turnedAt = time.Now()
		c.t.Cleanup(func() { back(c) })
		set(c, turnedAt.Add(by))
	}
	return turn, back
}
