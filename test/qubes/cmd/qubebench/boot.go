package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/splitvault/splitvault/test/qubes/bench/autostart"
	"github.com/splitvault/splitvault/test/qubes/bench/keep"
	"github.com/splitvault/splitvault/test/qubes/bench/machine"
)

// internal runs the verbs that the bench itself uses to execute this program
// again.
func internal(verb string, args []string) error {
	if verb == keep.Verb {
		return keep.Keep(args)
	}
	if len(args) < 2 {
		return fmt.Errorf("%s: %w", verb, errUsage)
	}
	if verb == autostart.Verb {
		return autostart.Ask(args[0], args[1])
	}
	state := machine.State(args[0])
	config, err := machine.Decode(args[1])
	if err != nil {
		return err
	}
	if verb == machine.InitVerb {
		return machine.Init(state, config)
	}
	var life io.Reader = os.Stdin
	if len(args) == 3 { // detached: only a signal ends it
		life = nil
	}
	return machine.Supervise(state, config, life, os.Stdout)
}

// boot is "run" and "up".
func boot(state machine.State, verb string, args []string) error {
	config, err := parseConfig(verb, args)
	if err != nil {
		return err
	}
	if verb == "up" {
		return machine.Up(state, config)
	}
	return machine.Supervise(state, config, os.Stdin, os.Stdout)
}

func parseConfig(verb string, args []string) (machine.Config, error) {
	c := machine.Config{DB: map[string]string{}}
	var services, units string
	flags := flag.NewFlagSet(verb, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&c.Root, "root", "", "root file system")
	flags.StringVar(&services, "services", "", "Qubes services that are on")
	flags.StringVar(&units, "units", "", "more system units to start")
	flags.Func("layer", "directory laid over the root", func(s string) error {
		layer, err := filepath.Abs(s)
		c.Layers = append(c.Layers, layer)
		return err
	})
	flags.Func("db", "QubesDB entry", func(s string) error {
		key, value, ok := strings.Cut(s, "=")
		if !ok {
			return fmt.Errorf("db %q: want KEY=VALUE", s)
		}
		c.DB[key] = value
		return nil
	})
	flags.Func("bind", "directory to show in the qube", func(s string) error {
		bind, err := machine.ParseBind(s)
		c.Binds = append(c.Binds, bind)
		return err
	})
	if err := flags.Parse(args); err != nil {
		return c, fmt.Errorf("%s: %w: %w", verb, err, errUsage)
	}
	if flags.NArg() != 1 {
		return c, fmt.Errorf("%s: want one qube name: %w", verb, errUsage)
	}
	if c.Root == "" {
		return c, fmt.Errorf("%s: -root is missing: qubebench root-build bookworm makes one: %w", verb, errUsage)
	}
	root, err := filepath.Abs(c.Root)
	if err != nil {
		return c, err
	}
	c.Name, c.Root, c.Services, c.Units = flags.Arg(0), root, strings.Fields(services), strings.Fields(units)
	return c, nil
}
