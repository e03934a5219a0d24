package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/splitvault/splitvault/test/qubes/bench"
	"github.com/splitvault/splitvault/test/qubes/bench/machine"
)

// memoryRow is what the processes of one held connection take.
type memoryRow struct {
	Root  string `json:"root"`
	Relay string `json:"relay"`
	Floor bool   `json:"floor,omitempty"`
	// State is "call open" (just after a list) or "no call" (nothing was asked).
	State string `json:"state"`
	// PSS by program in KiB, per connection: private memory, and the
	// process's part of what it shares.
	PSS   map[string]float64 `json:"pss_kib"`
	Calls int                `json:"calls"` // qrexec calls open, for all connections
}

// bootRow is how long a qube takes to boot.
type bootRow struct {
	Root string  `json:"root"`
	What string  `json:"what"`
	N    int     `json:"n"`
	P50  float64 `json:"p50_ms"`
	Max  float64 `json:"max_ms"`
}

// programs are those that belong to a relay, as the kernel names them: qubes.Ssh
// is ssh-guard. The emulated qrexec is the same for all and not like the real
// one in this.
func programs() []string {
	return []string{"ssh-relay", "qubes.Ssh", "copier", "answerer", "rung.Answer", "socat", "seed.Ssh", "seed.SshQuiet", "qubes.SshAgent"}
}

// memory holds connections through each relay in both states.
func (l *lab) memory(ctx context.Context, p plan) ([]memoryRow, error) {
	var rows []memoryRow
	for _, state := range []struct {
		name string
		args []string
	}{{"call open", nil}, {"no call", []string{"-idle"}}} {
		all := relays()
		if p.floors {
			all = append(all, leastPrograms(state.name == "no call")...)
		}
		for _, r := range all {
			row, err := l.hold(ctx, r, p.held, state.args)
			if err != nil {
				return nil, err
			}
			row.State = state.name
			rows = append(rows, row)
		}
	}
	return rows, nil
}

func (l *lab) hold(ctx context.Context, r relay, held int, args []string) (row memoryRow, err error) {
	if err := errors.Join(l.mend(ctx), l.quiet(ctx)); err != nil {
		return memoryRow{}, err
	}
	before, err := l.pss(ctx)
	if err != nil {
		return memoryRow{}, err
	}
	cmd := l.work.Command(ctx, machine.AsUser, append([]string{"agentload", "-socket", r.socket, "-hold", "-n", strconv.Itoa(held)}, args...)...)
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
		return memoryRow{}, fmt.Errorf("%s: holding %d connections: %q, %w", r.name, held, line, err)
	}
	time.Sleep(time.Second) // what was started settles; well below the time after which ours ends an idle call
	now, err := l.pss(ctx)
	if err != nil {
		return memoryRow{}, err
	}
	calls, err := l.bench.Calls()
	if err != nil {
		return memoryRow{}, err
	}
	row = memoryRow{Root: l.suite, Relay: r.name, Floor: r.floor != nil, PSS: map[string]float64{}, Calls: calls.Open}
	for program, size := range now {
		if more := size - before[program]; more >= held {
			row.PSS[program] = float64(more) / float64(held)
		}
	}
	return row, nil
}

// pss is what the relays' programs take in both qubes, in KiB.
func (l *lab) pss(ctx context.Context) (map[string]int, error) {
	all := map[string]int{}
	for _, q := range []*bench.Qube{l.work, l.vault} {
		// A process may end while it is looked at.
		out, err := q.Root(ctx, `for p in /proc/[0-9]*; do echo "$(cat $p/comm) $(sed -n 's/^Pss: *//p' $p/smaps_rollup)"; done 2>/dev/null; true`)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(out) {
			fields := strings.Fields(line)
			if len(fields) < 2 || !slices.Contains(l.of, fields[0]) {
				continue
			}
			size, err := strconv.Atoi(fields[1])
			if err != nil {
				return nil, fmt.Errorf("reading a process's memory: %w", err)
			}
			all[fields[0]] += size
		}
	}
	return all, nil
}

// boots boots further qubes with and without ours switched on.
func (l *lab) boots(ctx context.Context, n int) ([]bootRow, error) {
	took := map[string][]float64{}
	kinds := []string{"client qube, splitvault on", "qube, splitvault off"}
	for range n {
		for i, what := range kinds {
			spec := bench.Spec{Name: "boot"}
			if i == 0 {
				spec.Services = []string{"splitvault-ssh"}
			}
			q, err := l.bench.Start(spec)
			if err != nil {
				return nil, err
			}
			took[what] = append(took[what], float64(q.BootTime().Microseconds())/1000)
			if err := q.Kill(); err != nil {
				return nil, err
			}
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
		}
	}
	var rows []bootRow
	for _, what := range kinds {
		slices.Sort(took[what])
		rows = append(rows, bootRow{l.suite, what, n, percentile(took[what], 0.5), percentile(took[what], 1)})
	}
	return rows, nil
}
