// Command qubebench boots throw-away "qubes" on a Linux host: real systemd,
// real user sessions, in namespaces of their own. See test/qubes/README.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"

	"github.com/splitvault/splitvault/test/qubes/bench/autostart"
	"github.com/splitvault/splitvault/test/qubes/bench/keep"
	"github.com/splitvault/splitvault/test/qubes/bench/machine"
)

const usage = `usage: qubebench [-state DIR] VERB ...

To look around:
  shell [-suite SUITE] [-services "A B"]
        boot "work" and "vault" with the project installed and qrexec between
        them, and give a login shell in work; all ends with the shell

One qube:
  run -root DIR [-layer DIR]... [-services "A B"] [-db KEY=VALUE]... [-units "U V"]
      [-bind /SRC:/DST]... NAME
        boot it in the foreground; prints "ready" when its systemd and the
        user's systemd are up; ends it at EOF on stdin, SIGTERM or SIGINT
  up ... NAME                the same in the background
  exec NAME CMD...           run CMD in it as the user (one word: a line for sh)
  login NAME CMD...          the same in a login shell (one word: a line for bash)
  service NAME CMD...        the same as a service of the user's systemd
  root NAME CMD...           run CMD in it as root
  stop NAME                  shut it down as systemd does it
  down NAME                  kill it

Housekeeping:
  list                       qubes that run, with the host's PID of their PID 1
  gc                         forget all that does not run: homes, leftovers of
                             tests that were killed, half-built roots
  root-build SUITE           make the root bookworm or trixie if need be, print its path

State: -state, else $QUBEBENCH_DIR, else /run/qubebench.
`

func main() {
	// Parent-death signals follow the thread that started the child, and
	// unshare works on a thread: stay on the main one.
	runtime.LockOSThread()
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "qubebench:", err)
		if errors.Is(err, errUsage) {
			os.Exit(2)
		}
		os.Exit(1)
	}
}

var errUsage = errors.New("see qubebench -h")

func run(args []string) error {
	global := flag.NewFlagSet("qubebench", flag.ContinueOnError)
	global.Usage = func() { fmt.Fprint(os.Stderr, usage) }
	dir := os.Getenv("QUBEBENCH_DIR")
	if dir == "" {
		dir = "/run/qubebench"
	}
	global.StringVar(&dir, "state", dir, "state directory")
	if err := global.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return errUsage
	}
	if global.NArg() == 0 {
		return fmt.Errorf("no verb: %w", errUsage)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	return command(machine.State(dir), global.Arg(0), global.Args()[1:])
}

// command runs one verb. The verbs that live on as another program or as a
// supervisor come first: they take no signal handling from us.
func command(state machine.State, verb string, args []string) error {
	switch verb {
	case machine.InitVerb, machine.SuperviseVerb, keep.Verb, autostart.Verb:
		return internal(verb, args)
	case "run", "up":
		return boot(state, verb, args)
	case "exec", "login", "service", "root":
		if len(args) < 2 {
			return fmt.Errorf("%s: want a qube and a command: %w", verb, errUsage)
		}
		return machine.Enter(state, machine.Way(verb), args[0], args[1:])
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	switch verb {
	case "stop", "down":
		if len(args) != 1 {
			return fmt.Errorf("%s: want one qube: %w", verb, errUsage)
		}
		if verb == "stop" {
			return state.Stop(ctx, args[0])
		}
		return state.Down(args[0])
	case "list":
		return list(state)
	case "gc":
		return gc(state)
	case "root-build":
		return rootBuild(ctx, args)
	case "shell":
		return shell(ctx, args)
	}
	return fmt.Errorf("no verb %q: %w", verb, errUsage)
}
