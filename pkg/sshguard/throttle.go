package sshguard

import "time"

// A client decides how many of its requests are refused. The journal takes this
// many lines at once for one call, and then one for each interval, so that it
// cannot be flooded to drop what was written of others.
const (
	logBurst    = 20
	logInterval = 3 * time.Second
)

// throttle is a token bucket. The zero value is full.
type throttle struct {
	left float64
	last time.Time
}

func (t *throttle) take(now time.Time) bool {
	t.left = min(logBurst, t.left+now.Sub(t.last).Seconds()/logInterval.Seconds())
	t.last = now
	if t.left < 1 {
		return false
	}
	t.left--
	return true
}

// mayLog counts what may not.
func (g *Guard) mayLog() bool {
	if g.throttle.take(time.Now()) {
		return true
	}
	g.Stats.Unlogged++
	return false
}
