package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/splitvault/splitvault/test/baseline"
	"github.com/splitvault/splitvault/test/clefqube"
	"github.com/splitvault/splitvault/test/qubes/bench"
	"github.com/splitvault/splitvault/test/qubes/bench/machine"
	"github.com/splitvault/splitvault/test/signer"
)

// clefRelays are the ways to the vault's Clef, ours first. The load program takes
// their address for a socket.
func clefRelays() []relay {
	return []relay{{name: oursName, socket: "http://127.0.0.1:8550"}, {name: "python", socket: baseline.ClefURL}}
}

// measureClef takes the figures of split Clef on one root: account_list through each
// relay to one real Clef, which shows its accounts without asking.
func measureClef(ctx context.Context, kit *bench.Kit, suite string, p plan, all *figures) (err error) {
	if _, err := signer.Binary(); err != nil {
		return err
	}
	b, err := kit.Open(ctx, suite, &bytes.Buffer{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	l := &lab{bench: b, suite: suite, program: []string{"clefload", "-url"}, relays: clefRelays(), of: clefPrograms()}
	if err := l.prepareClef(ctx); err != nil {
		return err
	}
	for _, kind := range []kind{
		{name: "account_list, connection each", args: nil, floors: clefFloors()},
		{name: "account_list, open connection", args: []string{"-open"}, floors: clefFloors()},
	} {
		if !p.floors {
			kind.floors = nil
		}
		rows, err := l.inTurns(ctx, kind, plan{n: min(p.n, 100), rounds: p.rounds})
		if err != nil {
			return err
		}
		all.Requests = append(all.Requests, rows...)
	}
	row, err := l.holdClef(ctx, p.held)
	all.Memory = append(all.Memory, row)
	return err
}

func (l *lab) prepareClef(ctx context.Context) error {
	program, err := baseline.Program(ctx, "test/figures/clefload")
	if err != nil {
		return err
	}
	if err := l.bench.SetPolicy(callFloorPolicy, "qubes.Clefsign * work @anyvm allow target=vault", baseline.ClefPolicy("work")); err != nil {
		return err
	}
	if l.vault, err = l.bench.Start(bench.Spec{Name: "vault"}); err != nil {
		return err
	}
	if l.work, err = l.bench.Start(bench.Spec{Name: "work", Services: []string{"splitvault-clef"}}); err != nil {
		return err
	}
	return errors.Join(
		l.vault.Put(ctx, ".config/splitvault/rules.toml", []byte("[[clef.rule]]\nqube = \"work\"\ndecision = \"allow\"\n")),
		baseline.Put(ctx, l.work, map[string][]byte{"/usr/local/bin/clefload": program}),
		baseline.Put(ctx, l.vault, map[string][]byte{"/usr/local/bin/clefload": program}),
		l.putCallFloor(ctx), clefqube.Start(ctx, l.vault), baseline.ClefVault(ctx, l.vault), baseline.ClefClient(ctx, l.work))
}

// clefPrograms are ours, as the kernel names them: qubes.Clefsign is clef-guard. The
// Python dispatcher is one process for all connections.
func clefPrograms() []string { return []string{"clef-relay", "qubes.Clefsign"} }

// holdClef holds connections that are kept open after a request.
func (l *lab) holdClef(ctx context.Context, held int) (row memoryRow, err error) {
	before, err := l.pss(ctx)
	if err != nil {
		return memoryRow{}, err
	}
	cmd := l.work.Command(ctx, machine.AsUser, "clefload", "-url", l.relays[0].socket, "-hold", "-n", strconv.Itoa(held))
	in, err := cmd.StdinPipe()
	if err != nil {
		return memoryRow{}, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return memoryRow{}, err
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return memoryRow{}, err
	}
	defer func() { err = errors.Join(err, in.Close(), cmd.Wait(), l.quiet(ctx)) }()
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "held\n" {
		return memoryRow{}, fmt.Errorf("holding %d connections: %q, %w", held, line, err)
	}
	time.Sleep(time.Second) // what was started settles
	now, err := l.pss(ctx)
	if err != nil {
		return memoryRow{}, err
	}
	row = memoryRow{Root: l.suite, Relay: oursName, State: "clef, kept open", PSS: map[string]float64{}}
	for program, size := range now {
		if more := size - before[program]; more >= held {
			row.PSS[program] = float64(more) / float64(held)
		}
	}
	return row, nil
}
