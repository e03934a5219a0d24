package load

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Plan says how much is put on at once; 0 leaves a part out.
type Plan struct {
	Logins int // ssh logins
	Queued int // connections to the agent's socket
	Dapps  int // requests to Clef, all the same, and as many of which none is like another
	Qubes  int // client qubes, each of which sends PerQube requests
	Flood  int // requests by the qube that floods

	PerQube int
	Singles int // requests by the qube beside the flood, one after the other
}

// Full is what "just load" does.
func Full() Plan {
	return Plan{Logins: 200, Queued: 500, Dapps: 100, Qubes: 20, PerQube: 5, Flood: 400, Singles: 20}
}

// Short is what every run of the tests does. The crowd on the socket is in
// test/qubes/scenarios/load.txtar.
func Short() Plan {
	return Plan{Logins: 8, Dapps: 8, Qubes: 3, PerQube: 5, Flood: 60, Singles: 3}
}

// Times within which things must happen, on a slow and busy machine. In Qubes a
// person would have given up before; that none is reached shows that nothing hangs.
const (
	crowdTime  = 3 * time.Minute
	singleTime = 15 * time.Second // beside a flood
)

// Row is what came of one kind of load.
type Row struct {
	Root string `json:"root"`
	What string `json:"what"`
	N    int    `json:"n"`
	Lost int    `json:"lost"`
	// Of those that were answered, in milliseconds.
	P50 float64 `json:"p50_ms"`
	P95 float64 `json:"p95_ms"`
	Max float64 `json:"max_ms"`
	// From the first request to the last answer, in milliseconds.
	Wall float64 `json:"wall_ms,omitempty"`
	// Calls are qrexec calls that were placed for it.
	Calls int `json:"calls"`

	why string // the first that was lost
}

// read takes what crowd, agentload and clefload print, of one or several of them.
func read(outputs ...string) (Row, error) {
	var r Row
	var took []float64
	for _, output := range outputs {
		for line := range strings.Lines(output) {
			line = strings.TrimSpace(line)
			if why, failed := strings.CutPrefix(line, "failed: "); failed {
				r.Lost++
				r.why = why
				continue
			}
			number, isWall := strings.CutPrefix(line, "wall: ")
			nanoseconds, err := strconv.ParseFloat(number, 64)
			if err != nil {
				return Row{}, fmt.Errorf("reading what a load program says: %w", err)
			}
			if isWall {
				r.Wall = max(r.Wall, nanoseconds/1e6)
				continue
			}
			took = append(took, nanoseconds/1e6)
		}
	}
	slices.Sort(took)
	r.N = len(took) + r.Lost
	if len(took) > 0 {
		at := func(p float64) float64 { return took[max(0, int(math.Ceil(p*float64(len(took))))-1)] }
		r.P50, r.P95, r.Max = at(0.50), at(0.95), at(1)
	}
	return r, nil
}

// check fails for what was lost, or took longer than it may.
func (r Row) check(want int, within time.Duration) error {
	var errs []error
	if r.N != want {
		errs = append(errs, fmt.Errorf("%s: %d of %d requests were sent", r.What, r.N, want))
	}
	if r.Lost > 0 {
		errs = append(errs, fmt.Errorf("%s: %d of %d are lost: %s", r.What, r.Lost, r.N, r.why))
	}
	if limit := float64(within.Milliseconds()); r.Max > limit {
		errs = append(errs, fmt.Errorf("%s: the slowest took %.0f ms, more than %.0f", r.What, r.Max, limit))
	}
	return errors.Join(errs...)
}
