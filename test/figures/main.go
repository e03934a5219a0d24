// Command figures measures splitvault's ssh and Clef beside the relays of
// test/baseline: the same client, the same emulated qrexec, the same real
// ssh-agent in the vault, in the two-qube bench. It needs root.
//
//	go run ./test/figures [-n 200] [-short] [-clef] [-roots bookworm,trixie] [-json FILE]
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
	held     int // connections at once for memory
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
	n := flag.Int("n", 200, "requests per relay and kind")
	short := flag.Bool("short", false, "a quick run with 20 requests, for continuous integration")
	only := flag.Bool("clef", false, "measure split Clef alone")
	suites := flag.String("roots", strings.Join(roots.Suites(), ","), "Debian releases to measure on")
	file := flag.String("json", "", "write all figures to this file, too")
	flag.Parse()
	if flag.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flag.Arg(0))
	}
	p := plan{n: *n, rounds: 10, parallel: []int{1, 10, 50, 100, 200}, boots: 5, held: 8}
	if *short {
		p = plan{n: 20, rounds: 2, parallel: []int{1, 10, 50}, boots: 1, held: 8}
	}
	if p.n < p.rounds {
		return fmt.Errorf("-n %d: want at least %d", p.n, p.rounds)
	}
	kit, err := bench.BuildKit(ctx, os.Stderr)
	if err != nil {
		return err
	}
	all := newFigures(p)
	for suite := range strings.SplitSeq(*suites, ",") {
		take := measure
		if *only {
			take = measureClef
		}
		if err := take(ctx, kit, suite, p, all); err != nil {
			return errors.Join(fmt.Errorf("measuring on %s: %w", suite, err), kit.Close())
		}
	}
	all.LoadAfter = load()
	if err := kit.Close(); err != nil {
		return err
	}
	if *file != "" {
		if err := all.write(*file); err != nil {
			return err
		}
	}
	return all.print(os.Stdout)
}

// measure takes all figures on one root.
func measure(ctx context.Context, kit *bench.Kit, suite string, p plan, all *figures) (err error) {
	l, err := openLab(ctx, kit, suite)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.bench.Close()) }()
	fmt.Fprintf(os.Stderr, "%s: list and sign\n", suite)
	for _, kind := range []kind{
		{name: "list, connection each", args: nil},
		{name: "list, open connection", args: []string{"-open"}},
		{name: "sign, open connection", args: []string{"-open", "-sign"}},
	} {
		rows, err := l.inTurns(ctx, kind, p)
		if err != nil {
			return err
		}
		all.Requests = append(all.Requests, rows...)
	}
	for _, n := range p.parallel {
		fmt.Fprintf(os.Stderr, "%s: %d at once\n", suite, n)
		rows, err := l.atOnce(ctx, n)
		if err != nil {
			return err
		}
		all.Requests = append(all.Requests, rows...)
	}
	fmt.Fprintf(os.Stderr, "%s: memory, boot\n", suite)
	memory, err := l.memory(ctx, p.held)
	if err != nil {
		return err
	}
	all.Memory = append(all.Memory, memory...)
	boots, err := l.boots(ctx, p.boots)
	all.Boots = append(all.Boots, boots...)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "%s: clef\n", suite)
	return measureClef(ctx, kit, suite, p, all)
}

// turns are the relays in the order of a round: each is first once.
func turns(all []relay, round int) []relay {
	first := round % len(all)
	return slices.Concat(all[first:], all[:first])
}

func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return err.Error()
	}
	return strings.Join(strings.Fields(string(text))[:3], " ")
}
