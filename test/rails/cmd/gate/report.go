package main

import (
	"fmt"
	"io"
	"time"
)

// report is what the gate says at its end.
type report struct {
	ci          bool
	began       time.Time
	results     []result
	skipped     []string // tests, with reasons
	left        []string // processes, mounts and files that the steps left behind
	interrupted bool
}

// print writes the report and returns the exit code: 0 only where every step
// held and nothing stayed behind and, in CI, nothing was left out.
func (r *report) print(w io.Writer) int {
	code, missing := 0, len(r.skipped)
	fmt.Fprintf(w, "\n=== result after %v\n", time.Since(r.began).Round(time.Second))
	for _, s := range r.results {
		switch {
		case s.notRun != "":
			missing++
			fmt.Fprintf(w, "%-8s NOT RUN: %s\n", s.name, s.notRun)
		case s.err != nil:
			code = 1
			fmt.Fprintf(w, "%-8s FAILED (%v) after %v\n", s.name, s.err, s.took.Round(time.Second))
		default:
			fmt.Fprintf(w, "%-8s ok %v\n", s.name, s.took.Round(time.Second))
		}
	}
	for _, line := range r.skipped {
		fmt.Fprintln(w, "SKIPPED", line)
	}
	for _, line := range r.left {
		code = 1
		fmt.Fprintln(w, "LEFT BEHIND", line)
	}
	switch {
	case r.interrupted:
		code = 1
		fmt.Fprintln(w, "INTERRUPTED: the remaining steps were not run")
	case missing > 0 && r.ci:
		code = 1
		fmt.Fprintf(w, "NOT EVERYTHING WAS RUN: %d steps or tests left out, which counts as failed because CI is set\n", missing)
	case missing > 0:
		fmt.Fprintf(w, "NOT EVERYTHING WAS RUN: %d steps or tests left out, see above\n", missing)
	case code == 0:
		fmt.Fprintln(w, "everything was run, and nothing stayed behind")
	}
	return code
}
