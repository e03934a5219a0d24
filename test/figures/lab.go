package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/splitvault/splitvault/test/baseline"
	"github.com/splitvault/splitvault/test/qubes/bench"
	"github.com/splitvault/splitvault/test/qubes/bench/machine"
)

// relay is one way from a client qube to the vault's agent.
type relay struct {
	name, socket string
	floor        *floor // nil: a relay
}

const (
	oursName  = "splitvault"
	quietName = "seed, no notification"
)

// relays are what is compared, ours first.
func relays() []relay {
	return []relay{
		{name: oursName, socket: "/run/user/1000/ssh/S.ssh-agent"},
		{name: "seed", socket: baseline.SeedSocket},
		{name: quietName, socket: baseline.SeedQuietSocket},
		{name: "official", socket: baseline.OfficialSocket},
	}
}

// lab is a bench with a client and a vault, in which all relays lead to one agent.
type lab struct {
	bench       *bench.Bench
	suite       string
	vault, work *bench.Qube

	program []string // that puts load on a relay: its words before the relay's socket
	relays  []relay  // what is compared, ours first
	of      []string // names of the relays' programs
}

const agentSocket = "/run/user/1000/agent.sock"

const labRules = `
[ssh.agents]
default = "%t/agent.sock"

[[ssh.rule]]
qube = "work"
decision = "allow"
`

// startVault starts the agent with one key, and what stands for a desktop.
const startVault = `set -e
systemd-run --user --quiet --collect --unit=desktop notifyd
systemd-run --user --quiet --collect --unit=agent ssh-agent -D -a ` + agentSocket + `
until test -S ` + agentSocket + ` && busctl --user status org.freedesktop.Notifications >/dev/null 2>&1; do sleep 0.01; done
ssh-keygen -q -t ed25519 -N '' -f key
SSH_AUTH_SOCK=` + agentSocket + ` ssh-add -q key`

func openLab(ctx context.Context, kit *bench.Kit, suite string) (*lab, error) {
	built := map[string][]byte{}
	for name, dir := range map[string]string{"agentload": "test/figures/agentload", "answerer": "test/figures/answerer", "copier": "test/figures/copier", "notifyd": "test/baseline/notifyd"} {
		program, err := baseline.Program(ctx, dir)
		if err != nil {
			return nil, err
		}
		built["/usr/local/bin/"+name] = program
	}
	b, err := kit.Open(ctx, suite, &bytes.Buffer{})
	if err != nil {
		return nil, err
	}
	l := &lab{bench: b, suite: suite, program: []string{"agentload", "-socket"}, relays: relays(), of: programs()}
	if err := l.prepare(ctx, built); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return l, nil
}

func (l *lab) prepare(ctx context.Context, programs map[string][]byte) error {
	err := l.bench.SetPolicy(append(baseline.Policy("work"), "qubes.Ssh * work @anyvm allow target=vault", "rung.Answer * work @anyvm allow target=vault")...)
	if err != nil {
		return err
	}
	if l.vault, err = l.bench.Start(bench.Spec{Name: "vault"}); err != nil {
		return err
	}
	if l.work, err = l.bench.Start(bench.Spec{Name: "work", Services: []string{"splitvault-ssh"}}); err != nil {
		return err
	}
	if err := errors.Join(baseline.Put(ctx, l.vault, programs), baseline.Put(ctx, l.work, programs),
		l.vault.Put(ctx, ".config/splitvault/rules.toml", []byte(labRules)),
		baseline.Vault(ctx, l.vault, agentSocket), baseline.Client(ctx, l.work)); err != nil {
		return err
	}
	if _, err = l.vault.User(ctx, startVault); err != nil {
		return err
	}
	return l.ladder(ctx, programs["/usr/local/bin/answerer"], programs["/usr/local/bin/copier"])
}

// usage is what a qube has used so far.
type usage struct {
	cpu   float64 // milliseconds
	tasks int     // number of the last process or thread
}

// used reads a qube's own cgroup and PID namespace.
func used(ctx context.Context, q *bench.Qube) (usage, error) {
	out, err := q.Root(ctx, "cat /sys/fs/cgroup/cpu.stat /proc/loadavg")
	if err != nil {
		return usage{}, err
	}
	fields := strings.Fields(out)
	if len(fields) < 2 || fields[0] != "usage_usec" {
		return usage{}, fmt.Errorf("%s: the cgroup's cpu.stat begins with %.20q", q.Name(), out)
	}
	micro, errCPU := strconv.ParseFloat(fields[1], 64)
	last, errPID := strconv.Atoi(fields[len(fields)-1])
	return usage{micro / 1000, last}, errors.Join(errCPU, errPID)
}

// used is what both qubes have used.
func (l *lab) used(ctx context.Context) (usage, error) {
	work, err := used(ctx, l.work)
	if err != nil {
		return usage{}, err
	}
	vault, err := used(ctx, l.vault)
	return usage{work.cpu + vault.cpu, work.tasks + vault.tasks}, err
}

// client runs the load program, for n requests.
func (l *lab) client(ctx context.Context, r relay, n int, args []string) (string, error) {
	qube, number := l.work, []string{"-n", strconv.Itoa(n)}
	words := slices.Concat(l.program, []string{r.socket}, number, args)
	if f := r.floor; f != nil && f.program != nil {
		words = slices.Concat(f.program[:1], number, f.program[1:])
		if f.vault {
			qube = l.vault
		}
	}
	out, err := qube.User(ctx, words...)
	if err != nil {
		return "", fmt.Errorf("%s: %w", r.name, err)
	}
	return out, nil
}

// mend restarts what an overload may have ended for good: systemd gives up a
// socket on which too much comes in (TriggerLimitBurst), and a failed unit stays.
func (l *lab) mend(ctx context.Context) error {
	// systemctl's own error says only that nothing had failed.
	cmd := l.work.Command(ctx, machine.AsUser, `systemctl --user reset-failed
systemctl --user start seed-ssh.socket seed-ssh-quiet.socket splitvault-ssh.socket`)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("restarting the sockets: %w: %s", err, out)
	}
	return nil
}
