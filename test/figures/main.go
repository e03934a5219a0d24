// Command figures measures splitvault's ssh, Clef and pass beside the relays of
// test/baseline: the same client, the same emulated qrexec, the same real
// ssh-agent in the vault, in the two-qube bench. It needs root.
//
//	go run ./test/figures [-n 200] [-short] [-only SECTION] [-roots bookworm,trixie] [-json FILE]
//
// It prints a table; -json writes all figures to a file as well. The relays take
// turns, so that a busy machine is as busy for each; the figures that mean
// something on another machine are the ratios. Nothing passes or fails here: a
// figure that could not be taken ends the run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/splitvault/splitvault/test/qubes/bench"
	"github.com/splitvault/splitvault/test/qubes/bench/roots"
)

// plan says how much is measured.
type plan struct {
	n        int   // requests per relay, for each kind of request
	rounds   int   // in which they are sent
	parallel []int // requests at once
	boots    int
	held     int  // connections at once for memory
	floors   bool // what no relay can be without, too
	only     string
	short    bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "figures: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	only := flag.String("only", "", "take only the figures of this section: requests, stages, load, memory, boot, clef or pass; or crowd or confinement, which are not taken with the others")
	n := flag.Int("n", 200, "requests per relay and kind")
	short := flag.Bool("short", false, "a quick run with 20 requests, for continuous integration")
	suites := flag.String("roots", strings.Join(roots.Suites(), ","), "Debian releases to measure on")
	file := flag.String("json", "", "write all figures to this file, too")
	from := flag.String("from", "", "take no figures, but those that -json has written to this file")
	docs := flag.String("docs", "", "write tables and picture into performance.md in this directory, too")
	flag.Parse()
	if flag.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flag.Arg(0))
	}
	p := plan{n: *n, rounds: 10, parallel: []int{1, 10, 50, 100, 200}, boots: 5, held: 8, floors: true}
	if *short {
		p = plan{n: 20, rounds: 2, parallel: []int{1, 10, 50}, boots: 1, held: 8}
	}
	p.only, p.short = *only, *short
	if p.n < p.rounds {
		return fmt.Errorf("-n %d: want at least %d", p.n, p.rounds)
	}
	if *from != "" {
		all, err := readFigures(*from)
		if err != nil {
			return err
		}
		return all.tell(*docs)
	}
	kit, err := bench.BuildKit(ctx, os.Stderr)
	if err != nil {
		return err
	}
	all := newFigures(p)
	for suite := range strings.SplitSeq(*suites, ",") {
		if err := measure(ctx, kit, suite, p, all); err != nil {
			return errors.Join(fmt.Errorf("measuring on %s: %w", suite, err), kit.Close())
		}
	}
	all.LoadAfter = loadAverage()
	if err := kit.Close(); err != nil {
		return err
	}
	if *file != "" {
		if err := all.write(*file); err != nil {
			return err
		}
	}
	return all.tell(*docs)
}

// tell prints the figures, and writes them into the document that is in docs.
func (f *figures) tell(docs string) error {
	if docs != "" {
		if err := f.document(docs); err != nil {
			return err
		}
	}
	return f.print(os.Stdout)
}

// section is a part of the figures that can be taken alone.
type section struct {
	name string
	take func(ctx context.Context, l *lab, p plan, all *figures) error
}

func sections() []section {
	return []section{{"requests", takeRequests}, {"stages", takeStages}, {"load", takeLoad}, {"memory", takeMemory}, {"boot", takeBoots}}
}

// measure takes the figures on one root.
func measure(ctx context.Context, kit *bench.Kit, suite string, p plan, all *figures) error {
	if taken, err := alone(ctx, kit, suite, p, all); taken || err != nil {
		return err
	}
	if p.only != clefSection && p.only != passSection {
		if err := measureSSH(ctx, kit, suite, p, all); err != nil {
			return err
		}
	}
	if p.only == "" || p.only == passSection {
		fmt.Fprintf(os.Stderr, "%s: %s\n", suite, passSection)
		if err := measurePass(ctx, kit, suite, p, all); err != nil {
			return err
		}
	}
	if p.only != "" && p.only != clefSection {
		return nil
	}
	fmt.Fprintf(os.Stderr, "%s: %s\n", suite, clefSection)
	return measureClef(ctx, kit, suite, p, all)
}

// clefSection is a section with qubes of its own.
const clefSection = "clef"

func measureSSH(ctx context.Context, kit *bench.Kit, suite string, p plan, all *figures) (err error) {
	l, err := openLab(ctx, kit, suite)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.bench.Close()) }()
	for _, s := range sections() {
		if p.only != "" && p.only != s.name {
			continue
		}
		fmt.Fprintf(os.Stderr, "%s: %s\n", suite, s.name)
		if err := s.take(ctx, l, p, all); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

func takeRequests(ctx context.Context, l *lab, p plan, all *figures) error {
	for _, kind := range []kind{
		{name: "list, connection each", args: nil, floors: listFloors()},
		{name: "list, open connection", args: []string{"-open"}},
		{name: "sign, open connection", args: []string{"-open", "-sign"}, floors: signFloors()},
	} {
		if !p.floors {
			kind.floors = nil
		}
		rows, err := l.inTurns(ctx, kind, p)
		if err != nil {
			return err
		}
		all.Requests = append(all.Requests, rows...)
	}
	return nil
}

func takeStages(ctx context.Context, l *lab, p plan, all *figures) error {
	rows, err := l.stages(ctx, p)
	all.Stages = append(all.Stages, rows...)
	return err
}

func takeLoad(ctx context.Context, l *lab, p plan, all *figures) error {
	for _, n := range p.parallel {
		rows, err := l.atOnce(ctx, n)
		if err != nil {
			return err
		}
		all.Requests = append(all.Requests, rows...)
	}
	return nil
}

func takeMemory(ctx context.Context, l *lab, p plan, all *figures) error {
	rows, err := l.memory(ctx, p)
	all.Memory = append(all.Memory, rows...)
	return err
}

func takeBoots(ctx context.Context, l *lab, p plan, all *figures) error {
	rows, err := l.boots(ctx, p.boots)
	all.Boots = append(all.Boots, rows...)
	return err
}

// turns are the relays in the order of a round: each is first once.
func turns(all []relay, round int) []relay {
	first := round % len(all)
	return slices.Concat(all[first:], all[:first])
}

func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return err.Error()
	}
	return strings.Join(strings.Fields(string(text))[:3], " ")
}
