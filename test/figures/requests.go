package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// kind is a kind of request; args are agentload's. Those of a ladder go to its
// rungs instead of to the relays.
type kind struct {
	name   string
	args   []string
	relays []relay
	floors []relay // measured in turns with the others
}

// to is where requests of a kind go.
func (l *lab) to(k kind) []relay {
	if k.relays != nil {
		return k.relays
	}
	return slices.Concat(l.relays, k.floors)
}

// row is the figures of one relay for one kind of request.
type row struct {
	Root   string `json:"root"`
	Kind   string `json:"kind"`
	Relay  string `json:"relay"`
	Floor  bool   `json:"floor,omitempty"` // no relay, but what one cannot be without
	N      int    `json:"n"`
	Failed int    `json:"failed"`
	// Of the requests that succeeded, in milliseconds.
	P50 float64 `json:"p50_ms"`
	P95 float64 `json:"p95_ms"`
	// Processor time of client and vault, the load program and the emulated
	// qrexec included, in milliseconds per request.
	CPU float64 `json:"cpu_ms"`
	// Processes and threads started in both qubes per request.
	Tasks float64 `json:"tasks"`
	// From the first request to the last answer, in milliseconds, the median of
	// the rounds; only where several are sent at once.
	Wall float64 `json:"wall_ms,omitempty"`
	// Ours divided by this relay's: below 1, ours is better. None where requests
	// of either failed.
	P50Ratio float64 `json:"ours_p50_ratio,omitempty"`
	P95Ratio float64 `json:"ours_p95_ratio,omitempty"`
	CPURatio float64 `json:"ours_cpu_ratio,omitempty"`
}

// sample collects what the runs of one relay gave.
type sample struct {
	took   []float64 // milliseconds
	failed int
	usage  usage
	wall   []float64 // milliseconds, of each round
}

// inTurns sends n requests through each relay, in rounds.
func (l *lab) inTurns(ctx context.Context, k kind, p plan) ([]row, error) {
	samples := map[string]*sample{}
	for round := range p.rounds {
		for _, r := range turns(l.to(k), round) {
			if err := l.batch(ctx, r, k, p.n/p.rounds, samples); err != nil {
				return nil, err
			}
		}
	}
	return l.rows(k, samples), nil
}

// atOnce sends n lists at the same time through each relay, three times.
func (l *lab) atOnce(ctx context.Context, n int) ([]row, error) {
	samples := map[string]*sample{}
	k := kind{name: fmt.Sprintf("list, %d at once", n), args: []string{"-parallel", strconv.Itoa(n)}}
	for round := range 3 {
		for _, r := range turns(l.to(k), round) {
			if err := l.batch(ctx, r, k, n, samples); err != nil {
				return nil, err
			}
			if err := l.mend(ctx); err != nil {
				return nil, err
			}
		}
	}
	return l.rows(k, samples), nil
}

// batch has the client send n requests and adds what comes of it. What the
// measuring itself uses is measured too, by a client that sends none.
func (l *lab) batch(ctx context.Context, r relay, k kind, n int, samples map[string]*sample) error {
	s := samples[r.name]
	if s == nil {
		s = &sample{}
		samples[r.name] = s
	}
	before, err := l.used(ctx)
	if err != nil {
		return err
	}
	if _, err := l.client(ctx, r, 0, nil); err != nil {
		return err
	}
	idle, err := l.used(ctx)
	if err != nil {
		return err
	}
	out, err := l.client(ctx, r, n, k.args)
	if err != nil {
		return err
	}
	if err := l.quiet(ctx); err != nil {
		return err
	}
	after, err := l.used(ctx)
	if err != nil {
		return err
	}
	s.usage.cpu += after.cpu - idle.cpu - (idle.cpu - before.cpu)
	s.usage.tasks += after.tasks - idle.tasks - (idle.tasks - before.tasks)
	return s.add(out)
}

// quiet waits until all calls have ended, so that what they cost is counted.
func (l *lab) quiet(ctx context.Context) error {
	_, err := l.bench.Ctl(ctx, "wait-idle")
	return err
}

func (s *sample) add(output string) error {
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "failed: ") {
			s.failed++
			continue
		}
		all, isWall := strings.CutPrefix(line, "wall: ")
		nanoseconds, err := strconv.ParseFloat(all, 64)
		if err != nil {
			return fmt.Errorf("reading agentload's output: %w", err)
		}
		if isWall {
			s.wall = append(s.wall, nanoseconds/1e6)
			continue
		}
		s.took = append(s.took, nanoseconds/1e6)
	}
	return nil
}

func (l *lab) rows(k kind, samples map[string]*sample) []row {
	var rows []row
	for _, r := range l.to(k) {
		s := samples[r.name]
		slices.Sort(s.took)
		n := len(s.took) + s.failed
		row := row{
			Root: l.suite, Kind: k.name, Relay: r.name, Floor: r.floor != nil, N: n, Failed: s.failed,
			P50: percentile(s.took, 0.50), P95: percentile(s.took, 0.95),
			CPU: s.usage.cpu / float64(n), Tasks: float64(s.usage.tasks) / float64(n),
		}
		slices.Sort(s.wall)
		row.Wall = percentile(s.wall, 0.5)
		// Where requests failed, the others had it easier: no ratio.
		if k.relays == nil && len(rows) > 0 && row.Failed == 0 && rows[0].Failed == 0 {
			ours := rows[0]
			row.P50Ratio, row.P95Ratio, row.CPURatio = ratio(ours.P50, row.P50), ratio(ours.P95, row.P95), ratio(ours.CPU, row.CPU)
		}
		rows = append(rows, row)
	}
	return rows
}

// percentile of sorted values; 0 if there are none.
func percentile(sorted []float64, p float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max(0, int(math.Ceil(p*float64(len(sorted))))-1)]
}

func ratio(ours, theirs float64) float64 {
	if theirs <= 0 {
		return 0
	}
	return ours / theirs
}
