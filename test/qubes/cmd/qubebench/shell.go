package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/splitvault/splitvault/test/qubes/bench"
	"github.com/splitvault/splitvault/test/qubes/bench/machine"
)

// shell boots a vault and a work with the project installed, and gives the
// person a shell in work until they leave it.
func shell(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("shell", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	suite := flags.String("suite", "bookworm", "")
	services := flags.String("services", "splitvault-ssh", "")
	if err := flags.Parse(args); err != nil || flags.NArg() != 0 {
		return fmt.Errorf("shell: want -suite SUITE and -services \"A B\" at most: %w", errUsage)
	}
	if err := machine.Possible(); err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "building the project and the bench …")
	kit, err := bench.BuildKit(ctx, os.Stderr)
	if err != nil {
		return err
	}
	return errors.Join(shellOn(ctx, kit, *suite, strings.Fields(*services)), kit.Close())
}

func shellOn(ctx context.Context, kit *bench.Kit, suite string, services []string) (err error) {
	b, err := kit.Open(ctx, suite, os.Stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	const rule = "* * work @anyvm allow target=vault"
	if err := b.SetPolicy(rule); err != nil {
		return err
	}
	if err := startVault(ctx, b); err != nil {
		return err
	}
	work, err := b.Start(bench.Spec{Name: "work", Services: services})
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, `
You are "user" in the qube work; leave with exit. From another terminal:

  export QUBEBENCH_DIR=%[1]s
  %[2]s login vault bash     a shell in the vault
  %[2]s root work bash       root in work
  %[3]s ctl --dir $QUBEBENCH_DIR/qrexec calls

dom0 has one line, %[1]s/policy/30-splitvault.policy:
  %[4]s

`, b.State(), kit.Program(), kit.Qrexec(), rule)
	cmd := work.Command(ctx, machine.AsLogin, "bash -l")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err = cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil // the shell's last command failed: not our error
	}
	return err
}

// startVault boots a vault with a throw-away key in its agent, and a rule that
// lets work use it.
func startVault(ctx context.Context, b *bench.Bench) error {
	vault, err := b.Start(bench.Spec{Name: "vault"})
	if err != nil {
		return err
	}
	const rules = "[[ssh.rule]]\nqube = \"work\"\ndecision = \"allow\"\n"
	if err := vault.Put(ctx, ".config/splitvault/rules.toml", []byte(rules)); err != nil {
		return err
	}
	_, err = vault.User(ctx, `export SSH_AUTH_SOCK=$XDG_RUNTIME_DIR/openssh_agent
test -S "$SSH_AUTH_SOCK" || ssh-agent -a "$SSH_AUTH_SOCK" >/dev/null
ssh-keygen -q -t ed25519 -N "" -f key && ssh-add -q key`)
	return err
}
