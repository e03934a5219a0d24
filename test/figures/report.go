package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/splitvault/splitvault/test/load"
)

// figures is a whole run.
type figures struct {
	Time       time.Time   `json:"time"`
	LoadBefore string      `json:"load_before"` // of the machine, over 1, 5 and 15 minutes
	LoadAfter  string      `json:"load_after"`
	Machine    string      `json:"machine"`
	N          int         `json:"n"`
	Requests   []row       `json:"requests"`
	Stages     []row       `json:"stages"`
	Memory     []memoryRow `json:"memory"`
	Boots      []bootRow   `json:"boots"`
	Crowd      []load.Row  `json:"crowd,omitempty"`
	Costs      []costRow   `json:"costs,omitempty"`
}

func newFigures(p plan) *figures {
	return &figures{Time: time.Now().UTC(), LoadBefore: loadAverage(), Machine: thisMachine(), N: p.n}
}

func (f *figures) write(file string) error {
	text, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the figures: %w", err)
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}

func (f *figures) print(to io.Writer) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "load before %s, after %s\n", f.LoadBefore, f.LoadAfter)
	fmt.Fprintln(w, "Times and CPU in ms, CPU and tasks per request. Ratios are splitvault's figure by the other's: below 1, splitvault is better.")
	fmt.Fprintln(w, "\nroot\tkind\trelay\tn\tfailed\tp50\tp95\tCPU\ttasks\twall\tp50 ratio\tp95 ratio\tCPU ratio")
	for _, r := range f.Requests {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%.2f\t%.2f\t%.2f\t%.1f\t%s\t%s\t%s\t%s\n", r.Root, r.Kind, r.Relay, r.N, r.Failed,
			r.P50, r.P95, r.CPU, r.Tasks, some("%.0f", r.Wall), some("%.2f", r.P50Ratio), some("%.2f", r.P95Ratio), some("%.2f", r.CPURatio))
	}
	fmt.Fprintln(w, "\nroot\tstage of a list\tp50\tmore\tCPU\tmore\ttasks")
	for i, r := range f.Stages {
		var below row
		if i > 0 && f.Stages[i-1].Root == r.Root {
			below = f.Stages[i-1]
		}
		fmt.Fprintf(w, "%s\t%s\t%.2f\t%.2f\t%.2f\t%.2f\t%.1f\n", r.Root, r.Relay, r.P50, r.P50-below.P50, r.CPU, r.CPU-below.CPU, r.Tasks)
	}
	fmt.Fprintln(w, "\nroot\tconnection held\trelay\topen calls\tPSS in KiB per connection")
	for _, m := range f.Memory {
		var parts []string
		sum := 0.0
		for _, program := range slices.Sorted(maps.Keys(m.PSS)) {
			parts = append(parts, fmt.Sprintf("%s %.0f", program, m.PSS[program]))
			sum += m.PSS[program]
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%.0f (%s)\n", m.Root, m.State, m.Relay, m.Calls, sum, strings.Join(parts, ", "))
	}
	fmt.Fprintln(w, "\nroot\tboot\tn\tp50\tmax")
	for _, b := range f.Boots {
		fmt.Fprintf(w, "%s\t%s\t%d\t%.0f\t%.0f\n", b.Root, b.What, b.N, b.P50, b.Max)
	}
	if err := errors.Join(f.printCrowd(w), f.printCosts(w)); err != nil {
		return err
	}
	return w.Flush()
}

// some formats a figure that there may be none of.
func some(format string, v float64) string {
	if v == 0 {
		return "-"
	}
	return fmt.Sprintf(format, v)
}
