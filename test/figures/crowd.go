package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/splitvault/splitvault/test/load"
	"github.com/splitvault/splitvault/test/qubes/bench"
)

// crowdSection is load as nobody puts it on (package load). Unlike the other
// sections it can fail: where a request is lost, or late.
const crowdSection = "crowd"

func measureCrowd(ctx context.Context, kit *bench.Kit, suite string, p plan, all *figures) error {
	size := load.Full()
	if p.short {
		size = load.Short()
	}
	rows, err := load.Run(ctx, kit, suite, size)
	all.Crowd = append(all.Crowd, rows...)
	if err != nil && len(rows) > 0 {
		return errors.Join(err, all.printCrowd(os.Stderr))
	}
	return err
}

func (f *figures) printCrowd(w io.Writer) error {
	if len(f.Crowd) == 0 {
		return nil
	}
	if _, err := fmt.Fprintln(w, "\nroot\tload\tn\tlost\tp50\tp95\tmax\tall\tcalls"); err != nil {
		return err
	}
	for _, r := range f.Crowd {
		if _, err := fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%.0f\t%.0f\t%.0f\t%s\t%d\n", r.Root, r.What, r.N, r.Lost, r.P50, r.P95, r.Max, some("%.0f", r.Wall), r.Calls); err != nil {
			return err
		}
	}
	return nil
}

// crowdTables are those of the document, with when and where they were taken.
func (f *figures) crowdTables() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Taken %s on %s. Load of the machine before %s, after %s.\n\n", f.Time.Format("2006-01-02"), f.Machine, f.LoadBefore, f.LoadAfter)
	b.WriteString("| root | load | lost | p50 ms | p95 ms | max ms | all ms | qrexec calls |\n|---|---|---|---|---|---|---|---|\n")
	for _, r := range f.Crowd {
		fmt.Fprintf(&b, "| %s | %s | %d | %.0f | %.0f | %.0f | %s | %d |\n", r.Root, r.What, r.Lost, r.P50, r.P95, r.Max, some("%.0f", r.Wall), r.Calls)
	}
	return b.String()
}

// place writes text into the part of a document that is named so.
func place(dir, file, name, text string) error {
	begin, end := fmt.Sprintf("<!-- %s: written by `go run ./test/figures -docs`, do not edit -->", name), fmt.Sprintf("<!-- end of %s -->", name)
	path := filepath.Join(dir, file)
	old, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	head, rest, begins := bytes.Cut(old, []byte(begin))
	_, tail, ends := bytes.Cut(rest, []byte(end))
	if !begins || !ends {
		return fmt.Errorf("%s: it has no place for %s", path, name)
	}
	return os.WriteFile(path, fmt.Appendf(nil, "%s%s\n\n%s\n%s%s", head, begin, text, end, tail), 0o644)
}
