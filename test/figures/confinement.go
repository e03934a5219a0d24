package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/splitvault/splitvault/test/baseline"
	"github.com/splitvault/splitvault/test/confinement"
	"github.com/splitvault/splitvault/test/qubes/bench"
)

// confinementSection is what each option that confines a daemon costs.
const confinementSection = "confinement"

// costRow is what an activation costs with an option.
type costRow struct {
	Root    string  `json:"root"`
	Manager string  `json:"manager"` // the user's systemd, or the system's
	Option  string  `json:"option"`  // with those that it needs; "none"; or all of a unit
	N       int     `json:"n"`
	P50     float64 `json:"p50_ms"` // of connect, list, close
	P95     float64 `json:"p95_ms"`
	// Processor time of the qube, systemd's and the client's included, and how much
	// more that is than with none, in milliseconds.
	CPU  float64 `json:"cpu_ms"`
	More float64 `json:"more_cpu_ms"`
}

// activation is one kind of service to start.
type activation struct {
	option   string
	settings []string
}

// costs starts the least program that answers, again and again, with each option.
func measureConfinement(ctx context.Context, kit *bench.Kit, suite string, p plan, all *figures) (err error) {
	b, err := kit.Open(ctx, suite, &bytes.Buffer{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	l := &lab{bench: b, suite: suite, program: []string{"agentload", "-socket"}}
	if l.work, err = b.Start(bench.Spec{Name: "work"}); err != nil {
		return err
	}
	for _, system := range []bool{false, true} {
		kinds, err := activations(system)
		if err != nil {
			return err
		}
		relays, err := l.install(ctx, system, kinds)
		if err != nil {
			return err
		}
		rows, err := l.costs(ctx, system, relays, p)
		if err != nil {
			return err
		}
		all.Costs = append(all.Costs, rows...)
	}
	return nil
}

// activations are one with each option, and one with all options of a unit.
func activations(system bool) ([]activation, error) {
	settings, err := confinement.Settings("units", system)
	if err != nil {
		return nil, err
	}
	options, wholes := confinement.UserOptions(), []string{"ssh@", "consent"}
	if system {
		options, wholes = confinement.SystemOptions(), []string{"clef-net@"}
	}
	kinds := []activation{{option: "none"}}
	for _, o := range options {
		if len(settings[o.Setting]) > 0 {
			with := append(slices.Clone(o.With), o.Setting)
			kinds = append(kinds, activation{strings.Join(with, " "), with})
		}
	}
	for _, name := range wholes {
		whole := activation{option: "all of " + name}
		for _, o := range options { // in their order: SystemCallFilter's matters
			if slices.Contains(settings[o.Setting], name) {
				whole.settings = append(whole.settings, o.Setting)
			}
		}
		kinds = append(kinds, whole)
	}
	return kinds, nil
}

var noWord = regexp.MustCompile(`[^A-Za-z0-9]+`)

// install makes a socket for each kind.
func (l *lab) install(ctx context.Context, system bool, kinds []activation) ([]relay, error) {
	files := map[string][]byte{}
	for name, dir := range map[string]string{"agentload": "test/figures/agentload", "answerer": "test/figures/answerer"} {
		program, err := baseline.Program(ctx, dir)
		if err != nil {
			return nil, err
		}
		files["/usr/local/bin/"+name] = program
	}
	dir, runtime, user, run := "/etc/systemd/user/", "/run/user/1000/cost/", "", l.work.User
	if system {
		dir, runtime, user, run = "/etc/systemd/system/", "/run/cost/", "User=splitvault\n", l.work.Root
	}
	relays := make([]relay, 0, len(kinds))
	var sockets []string
	for i, k := range kinds {
		name := fmt.Sprintf("cost-%d-%s", i, strings.Trim(noWord.ReplaceAllString(k.option, ""), "-"))
		name = name[:min(len(name), 60)]
		relays, sockets = append(relays, relay{name: k.option, socket: runtime + name}), append(sockets, name+".socket")
		files[dir+name+".socket"] = fmt.Appendf(nil, "[Socket]\nListenStream=%s\nAccept=yes\nMaxConnections=512\nTriggerLimitIntervalSec=0\nPollLimitIntervalSec=0\n", runtime+name)
		files[dir+name+"@.service"] = fmt.Appendf(nil, "[Unit]\nCollectMode=inactive-or-failed\n[Service]\nExecStart=/usr/local/bin/answerer\nStandardInput=socket\nStandardError=journal\n%s%s\n", user, strings.Join(k.settings, "\n"))
	}
	const account = `getent passwd splitvault >/dev/null || useradd --system --home-dir /var/lib/splitvault --shell /usr/sbin/nologin splitvault
mkdir -p /run/splitvault /var/lib/splitvault && chown splitvault: /run/splitvault /var/lib/splitvault`
	if _, err := l.work.Root(ctx, account); err != nil {
		return nil, err
	}
	if err := baseline.Put(ctx, l.work, files); err != nil {
		return nil, err
	}
	manager := "systemctl"
	if !system {
		manager += " --user"
	}
	_, err := run(ctx, manager+" daemon-reload && "+manager+" start "+strings.Join(sockets, " "))
	return relays, err
}

// costs are measured in turns; a failed activation ends the run.
func (l *lab) costs(ctx context.Context, system bool, relays []relay, p plan) ([]costRow, error) {
	const rounds = 4
	samples := make([]sample, len(relays))
	for range rounds {
		for i, r := range relays {
			if err := l.activate(ctx, r, max(1, min(p.n, 80)/rounds), &samples[i]); err != nil {
				return nil, err
			}
		}
	}
	manager := "user"
	if system {
		manager = "system"
	}
	rows := make([]costRow, 0, len(relays))
	for i, r := range relays {
		s := &samples[i]
		if s.failed > 0 {
			return nil, fmt.Errorf("%s systemd, %s: %d activations failed", manager, r.name, s.failed)
		}
		slices.Sort(s.took)
		row := costRow{Root: l.suite, Manager: manager, Option: r.name, N: len(s.took), P50: percentile(s.took, 0.5), P95: percentile(s.took, 0.95), CPU: s.usage.cpu / float64(len(s.took))}
		if i > 0 {
			row.More = row.CPU - rows[0].CPU
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// activate has the client connect n times. What the measuring itself uses is
// measured too, by a client that does nothing.
func (l *lab) activate(ctx context.Context, r relay, n int, s *sample) error {
	before, err := used(ctx, l.work)
	if err != nil {
		return err
	}
	if _, err := l.client(ctx, r, 0, nil); err != nil {
		return err
	}
	idle, err := used(ctx, l.work)
	if err != nil {
		return err
	}
	out, err := l.client(ctx, r, n, nil)
	if err != nil {
		return err
	}
	after, err := used(ctx, l.work)
	if err != nil {
		return err
	}
	s.usage.cpu += after.cpu - idle.cpu - (idle.cpu - before.cpu)
	return s.add(out)
}

func (f *figures) printCosts(w io.Writer) error {
	if len(f.Costs) == 0 {
		return nil
	}
	if _, err := fmt.Fprintln(w, "\nroot\tsystemd\tactivation with\tn\tp50\tp95\tCPU\tmore CPU than with none"); err != nil {
		return err
	}
	for _, r := range f.Costs {
		if _, err := fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%.2f\t%.2f\t%.2f\t%+.2f\n", r.Root, r.Manager, r.Option, r.N, r.P50, r.P95, r.CPU, r.More); err != nil {
			return err
		}
	}
	return nil
}

// costTables have one line for each option, and the roots beside each other.
func (f *figures) costTables() string {
	type line struct{ manager, option string }
	var roots []string
	var lines []line
	cells := map[line]map[string]costRow{}
	for _, r := range f.Costs {
		if !slices.Contains(roots, r.Root) {
			roots = append(roots, r.Root)
		}
		at := line{r.Manager, r.Option}
		if cells[at] == nil {
			lines, cells[at] = append(lines, at), map[string]costRow{}
		}
		cells[at][r.Root] = r
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Taken %s on %s. Load of the machine before %s, after %s; %d activations each, in turns.\n\n| systemd | an activation with |", f.Time.Format("2006-01-02"), f.Machine, f.LoadBefore, f.LoadAfter, f.Costs[0].N)
	for _, root := range roots {
		fmt.Fprintf(&b, " %s: p50 ms | CPU ms | more |", root)
	}
	b.WriteString("\n|---|---|" + strings.Repeat("---|---|---|", len(roots)) + "\n")
	for _, at := range lines {
		fmt.Fprintf(&b, "| %s | `%s` |", at.manager, at.option)
		for _, root := range roots {
			fmt.Fprintf(&b, " %.1f | %.1f | %+.1f |", cells[at][root].P50, cells[at][root].CPU, cells[at][root].More)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// alone are the sections that are only taken when they are named.
func alone(ctx context.Context, kit *bench.Kit, suite string, p plan, all *figures) (taken bool, err error) {
	take := map[string]func(context.Context, *bench.Kit, string, plan, *figures) error{
		crowdSection: measureCrowd, confinementSection: measureConfinement,
	}[p.only]
	if take == nil {
		return false, nil
	}
	fmt.Fprintf(os.Stderr, "%s: %s\n", suite, p.only)
	return true, take(ctx, kit, suite, p, all)
}
