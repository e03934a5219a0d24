package main

import (
	"context"
	"fmt"
	"os"

	"github.com/splitvault/splitvault/test/qubes/bench"
	"github.com/splitvault/splitvault/test/qubes/bench/machine"
	"github.com/splitvault/splitvault/test/qubes/bench/roots"
)

func list(state machine.State) error {
	names, err := state.Names()
	if err != nil {
		return err
	}
	for _, name := range names {
		if pid := state.PID(name); pid != 0 {
			fmt.Println(name, pid)
		}
	}
	return nil
}

func gc(state machine.State) error {
	if err := state.GC(); err != nil {
		return err
	}
	return bench.Sweep()
}

func rootBuild(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("root-build: want one suite: %w", errUsage)
	}
	dir, err := roots.Build(ctx, args[0], os.Stderr)
	if err != nil {
		return err
	}
	fmt.Println(dir)
	return nil
}
