package qrexec

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/splitvault/splitvault/test/qubes/qrexec/agent"
	"github.com/splitvault/splitvault/test/qubes/qrexec/client"
	"github.com/splitvault/splitvault/test/qubes/qrexec/dom0"
)

// ClientName is the name under which the program is the client.
const ClientName = "qrexec-client-vm"

// Main is the program of test/qubes/cmd/qrexec: args with the program's name
// first, which decides the role. It returns the exit code.
func Main(args []string) int {
	if filepath.Base(args[0]) == ClientName {
		return client.Main(args)
	}
	role, rest := "", []string(nil)
	if len(args) > 1 {
		role, rest = args[1], args[2:]
	}
	var err error
	switch role {
	case "client":
		return client.Main(append([]string{ClientName}, rest...))
	case "serve": // a data process of the agent
		if len(rest) == 1 {
			return agent.Serve(rest[0])
		}
		err = errors.New("serve is started by the agent only")
	case "agent":
		err = runAgent(rest)
	case "dom0":
		err = runDom0(rest)
	case "ctl":
		err = ctl(rest, os.Stdout)
	default:
		fmt.Fprintln(os.Stderr, "usage: qrexec client|agent|dom0|ctl …, or "+ClientName+" as the program's name")
		return 2
	}
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(os.Stderr, "qrexec "+role+": "+err.Error())
		return 1
	}
	return 0
}

func runAgent(args []string) error {
	o := agent.Options{Log: func(format string, v ...any) { fmt.Fprintf(os.Stderr, "qrexec-agent: "+format+"\n", v...) }}
	f := flag.NewFlagSet("qrexec agent", flag.ContinueOnError)
	f.StringVar(&o.Control, "control", "/run/qrexec-bench/control", "dom0's `socket` for this qube")
	f.StringVar(&o.Socket, "socket", client.DefaultSocket, "`socket` that clients connect to")
	f.StringVar(&o.Host.User, "user", "", "the qube's default `user` (default: the one who runs the agent)")
	session := f.String("session", string(agent.SessionNone), "gui, none, or auto (gui once the session's marker exists)")
	f.StringVar(&o.Host.SessionMarker, "session-marker", "", "`file` that exists while there is a GUI session (default /run/qubes/qrexec-server.USER.sock)")
	f.StringVar(&o.Host.Release, "release", "4.3", "play the qube of R4.1, R4.2 or R4.3")
	oversize := f.String("oversize", string(agent.OversizeExit), "what a NAME+ARG that is too long does to the agent: exit or wedge")
	f.Func("service-path", "`directories` of services, separated by colons", colonList(&o.Host.ServicePath))
	f.Func("rpc-config", "`directories` of rpc-config, separated by colons", colonList(&o.Host.ConfigPath))
	f.Func("env", "`NAME=VALUE` for every service, may be given again", func(v string) error { o.Host.Env = append(o.Host.Env, v); return nil })
	f.String("name", "", "the qube's `name`, for ps only")
	untilEOF := f.Bool("until-eof", false, "end when stdin does")
	if err := parseAll(f, args); err != nil {
		return err
	}
	o.Host.Session, o.Oversize = agent.Session(*session), agent.Oversize(*oversize)
	if err := oneOf("session", *session, "gui", "none", "auto"); err != nil {
		return err
	}
	if err := oneOf("oversize", *oversize, "exit", "wedge"); err != nil {
		return err
	}
	if err := oneOf("release", o.Host.Release, "4.1", "4.2", "4.3"); err != nil {
		return err
	}
	o.Ready = ready
	ctx, stop := untilStopped(*untilEOF)
	defer stop()
	return agent.Run(ctx, o)
}

func runDom0(args []string) error {
	var o dom0.Options
	f := flag.NewFlagSet("qrexec dom0", flag.ContinueOnError)
	f.StringVar(&o.Dir, "dir", "", "`directory` for NAME/control, admin.sock and dom0.log")
	f.Func("policy", "policy `directories`, separated by colons: /etc's, then /run's", colonList(&o.PolicyDirs))
	f.StringVar(&o.QubesFile, "qubes", "", "JSON `file` that lists the qubes")
	f.StringVar(&o.StartCommand, "start-command", "", "shell `command` that starts the halted qube $QUBE, or prints the name of a new disposable of $DISPVM_TEMPLATE")
	f.DurationVar(&o.Grace, "grace", 5*time.Second, "how long an agent may be away before its calls are cut")
	untilEOF := f.Bool("until-eof", false, "end when stdin does")
	if err := parseAll(f, args); err != nil {
		return err
	}
	if o.Dir == "" || o.QubesFile == "" || len(o.PolicyDirs) == 0 {
		return errors.New("--dir, --policy and --qubes are needed")
	}
	ctx, stop := untilStopped(*untilEOF)
	defer stop()
	return dom0.Run(ctx, o, ready)
}

// untilStopped ends with SIGTERM, SIGINT, or the end of stdin if that is asked for.
func untilStopped(untilEOF bool) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	if untilEOF {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			stop()
		}()
	}
	return ctx, stop
}

// ready tells systemd if it asked, else who reads our stdout.
func ready() {
	if told, err := daemon.SdNotify(false, daemon.SdNotifyReady); err == nil && told {
		return
	}
	fmt.Println("ready")
}

func parseAll(f *flag.FlagSet, args []string) error {
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	return nil
}

func colonList(list *[]string) func(string) error {
	return func(v string) error { *list = strings.Split(v, ":"); return nil }
}

func oneOf(name, value string, allowed ...string) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	return fmt.Errorf("--%s %q: want %s", name, value, strings.Join(allowed, ", "))
}
