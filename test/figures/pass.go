package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/splitvault/splitvault/test/baseline"
	"github.com/splitvault/splitvault/test/qubes/bench"
)

// passSection is a section with qubes of its own.
const passSection = "pass"

// passPolicy lets work call both.
func passPolicy() []string {
	lines := []string{callFloorPolicy}
	for _, service := range []string{"pass.ListPasswords", "pass.GetPassword", "seed.ListPasswords", "seed.GetPassword"} {
		lines = append(lines, service+" * work @anyvm allow target=vault")
	}
	return lines
}

// passVault makes a store with a real key, and what stands for a desktop.
const passVault = `set -e
systemd-run --user --quiet --collect --unit=desktop notifyd
until busctl --user status org.freedesktop.Notifications >/dev/null 2>&1; do sleep 0.01; done
mkdir -p -m 700 .gnupg
gpg --batch -q --passphrase '' --quick-generate-key 'Vault <vault@example.invalid>' future-default default never
pass init vault@example.invalid >/dev/null
echo secret | pass insert -m d0/one >/dev/null`

// measurePass takes the figures of split pass on one root: a list of stores of three
// sizes, and one entry, through our guard and through the published scripts.
func measurePass(ctx context.Context, kit *bench.Kit, suite string, p plan, all *figures) (err error) {
	b, err := kit.Open(ctx, suite, &bytes.Buffer{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	l := &lab{
		bench: b, suite: suite, program: []string{"passload", "-services"},
		relays: []relay{{name: oursName, socket: "pass."}, {name: "scripts", socket: "seed."}}, of: []string{"pass-guard"},
	}
	if err := l.preparePass(ctx); err != nil {
		return err
	}
	few := plan{n: min(p.n, 60), rounds: p.rounds}
	var floors, forEntry []relay
	if p.floors {
		floors, forEntry = callFloors(), gpgFloors()
	}
	for _, entries := range []int{20, 1000, 10_000} {
		// All in fifty directories, of files that a list does not read.
		fill := fmt.Sprintf(`cd .password-store && mkdir -p $(seq -f d%%g 0 49) && seq -f '%%g' 2 %d | awk '{print "d" $1%%50 "/e" $1 ".gpg"}' | xargs touch`, entries)
		if _, err := l.vault.User(ctx, fill); err != nil {
			return err
		}
		rows, err := l.inTurns(ctx, kind{name: fmt.Sprintf("pass, list of %d", entries), args: []string{"-want", strconv.Itoa(entries)}, floors: floors}, few)
		if err != nil {
			return err
		}
		all.Requests = append(all.Requests, rows...)
	}
	rows, err := l.inTurns(ctx, kind{name: "pass, one entry", args: []string{"-get", "d0/one"}, floors: forEntry}, few)
	all.Requests = append(all.Requests, rows...)
	return err
}

func (l *lab) preparePass(ctx context.Context) error {
	load, err := baseline.Program(ctx, "test/figures/passload")
	if err != nil {
		return err
	}
	notifyd, err := baseline.Program(ctx, "test/baseline/notifyd")
	if err != nil {
		return err
	}
	if err := l.bench.SetPolicy(passPolicy()...); err != nil {
		return err
	}
	if l.vault, err = l.bench.Start(bench.Spec{Name: "vault"}); err != nil {
		return err
	}
	if l.work, err = l.bench.Start(bench.Spec{Name: "work"}); err != nil {
		return err
	}
	if err := errors.Join(
		l.vault.Put(ctx, ".config/splitvault/rules.toml", []byte("[[pass.rule]]\nqube = \"work\"\ndecision = \"allow\"\n")),
		baseline.Put(ctx, l.work, map[string][]byte{"/usr/local/bin/passload": load}),
		baseline.Put(ctx, l.vault, map[string][]byte{"/usr/local/bin/notifyd": notifyd}), l.putCallFloor(ctx), baseline.Pass(ctx, l.vault)); err != nil {
		return err
	}
	_, err = l.vault.User(ctx, passVault)
	return err
}
