package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// event is one line of `go test -json` (go doc test2json, go help buildjson).
type event struct {
	Action, Package, ImportPath, Test, Output string
	Key, Value                                string // of T.Attr
}

type summary struct {
	passed  int      // tests that ran and passed, without subtests' parents told apart
	skipped []string // "PACKAGE.TEST: REASON"
}

// summarize reads test events from in and prints to out what plain `go test`
// would: a line for each package and the output of what failed.
func summarize(in io.Reader, out io.Writer) summary {
	var sum summary
	pending := map[string]string{} // output of tests that have not ended
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		var e event
		if json.Unmarshal(line, &e) != nil {
			fmt.Fprintf(out, "%s", line) // not an event: go's own words
		} else {
			sum.take(e, pending, out)
		}
		if err != nil {
			return sum
		}
	}
}

func (s *summary) take(e event, pending map[string]string, out io.Writer) {
	name := e.Package + "." + e.Test
	switch {
	case e.Action == "build-output":
		fmt.Fprint(out, e.Output)
	case e.Action == "output" && strings.HasPrefix(e.Output, "=== "):
		// The start or pause of a test is no news.
	case e.Action == "output" && e.Test != "":
		pending[name] += e.Output
	case e.Action == "output" && e.Output != "PASS\n" && !strings.HasPrefix(e.Output, "?"):
		fmt.Fprint(out, e.Output)
	case e.Test == "" && e.Action == "fail":
		// What a panic or a time-out left unfinished.
		for _, name := range slices.Sorted(maps.Keys(pending)) {
			if strings.HasPrefix(name, e.Package+".") {
				fmt.Fprint(out, pending[name])
				delete(pending, name)
			}
		}
	case e.Action == "attr" && e.Key == "note":
		fmt.Fprintf(out, "NOTE %s: %s\n", name, e.Value)
	case e.Test == "":
		return
	case e.Action == "fail":
		fmt.Fprint(out, pending[name])
		delete(pending, name)
	case e.Action == "skip":
		s.skipped = append(s.skipped, name+": "+reason(pending[name]))
		delete(pending, name)
	case e.Action == "pass":
		s.passed++
		delete(pending, name)
	}
}

// reason returns the words given to t.Skip, out of a skipped test's output.
func reason(output string) string {
	var words []string
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "--- ") {
			continue
		}
		words = append(words, line)
	}
	if len(words) == 0 {
		return "no reason given"
	}
	return strings.Join(words, " ")
}
