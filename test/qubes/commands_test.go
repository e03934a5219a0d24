package qubes

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/splitvault/splitvault/test/qubes/bench"
	"github.com/splitvault/splitvault/test/qubes/bench/machine"
	"github.com/splitvault/splitvault/test/qubes/qrexec/dom0"
)

// commandTime bounds each command of a script, untilTime how long "until" tries.
const (
	commandTime = 60 * time.Second
	untilTime   = 10 * time.Second
)

type command = func(ts *testscript.TestScript, neg bool, args []string)

// commands are what scripts may use beside testscript's own. README.md lists
// them for their readers.
func commands() map[string]command {
	all := map[string]command{
		"boot":     boot,
		"reboot":   positive(reboot),
		"shutdown": positive(func(ctx context.Context, s *scenario, args []string) error { return end(ctx, s, args, false) }),
		"crash":    positive(func(ctx context.Context, s *scenario, args []string) error { return end(ctx, s, args, true) }),
		"service":  positive(service),
		"until":    until,
		"put":      put,
		"policy":   policyLines,
		"journal":  journal,
		"calls":    calls,
		"ctl":      ctl,
		"answer":   positive(answer),
		"clef":     positive(clef),
		"wire":     positive(wire),
		"baseline": positive(published),
		"tests":    positive(tests),
	}
	for word, way := range ways() {
		all[word] = func(ts *testscript.TestScript, neg bool, args []string) { run(ts, neg, way, args) }
	}
	return all
}

// positive makes a command of a function that may not be negated.
func positive(do func(ctx context.Context, s *scenario, args []string) error) command {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg {
			ts.Fatalf("this command cannot be negated")
		}
		s := of(ts)
		ctx, cancel := context.WithTimeout(s.t.Context(), commandTime)
		defer cancel()
		ts.Check(do(ctx, s, args))
	}
}

// boot [-no-session] [-db KEY=VALUE] [-tag TAG] NAME [SERVICE...]
func boot(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("a qube that must not boot has no place in a scenario")
	}
	spec := bench.Spec{DB: map[string]string{}}
	flags := flag.NewFlagSet("boot", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.BoolVar(&spec.NoSession, "no-session", false, "")
	flags.Func("tag", "", func(tag string) error { spec.Tags = append(spec.Tags, tag); return nil })
	flags.Func("db", "", func(entry string) error {
		key, value, ok := strings.Cut(entry, "=")
		spec.DB[key] = value
		if !ok {
			return errors.New("want KEY=VALUE")
		}
		return nil
	})
	ts.Check(flags.Parse(args))
	if flags.NArg() == 0 {
		ts.Fatalf("usage: boot [-no-session] [-db KEY=VALUE] [-tag TAG] NAME [SERVICE...]")
	}
	spec.Name, spec.Services = flags.Arg(0), flags.Args()[1:]
	q, err := of(ts).bench.Start(spec)
	ts.Check(err)
	ts.Logf("%s booted in %v", q.Name(), q.BootTime().Round(time.Millisecond))
}

// reboot NAME: the home stays, the rest is new.
func reboot(ctx context.Context, s *scenario, args []string) error {
	if len(args) != 1 {
		return errors.New("usage: reboot NAME")
	}
	q, err := s.bench.Qube(args[0])
	if err != nil {
		return err
	}
	if err := q.Shutdown(ctx); err != nil {
		return err
	}
	_, err = s.bench.Start(q.Spec())
	return err
}

// shutdown NAME, crash NAME
func end(ctx context.Context, s *scenario, args []string, kill bool) error {
	if len(args) != 1 {
		return errors.New("usage: shutdown NAME or crash NAME")
	}
	q, err := s.bench.Qube(args[0])
	if err != nil {
		return err
	}
	if kill {
		return q.Kill()
	}
	return q.Shutdown(ctx)
}

// service NAME SERVICE on|off, from the next boot on, as with qvm-service
func service(_ context.Context, s *scenario, args []string) error {
	if len(args) != 3 || !slices.Contains([]string{"on", "off"}, args[2]) {
		return errors.New("usage: service NAME SERVICE on|off, then reboot NAME")
	}
	q, err := s.bench.Qube(args[0])
	if err != nil {
		return err
	}
	q.SetService(args[1], args[2] == "on")
	return nil
}

// run: on|login|as-service|root NAME COMMAND... [<FILE]
func run(ts *testscript.TestScript, neg bool, way machine.Way, args []string) {
	err := try(ts, way, args, ts.Stdout(), ts.Stderr())
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.Exited() {
		if !neg {
			ts.Fatalf("exit code %d", exit.ExitCode())
		}
		ts.Logf("[exit code %d]", exit.ExitCode())
		return
	}
	ts.Check(err) // not even "!" expects that
	if neg {
		ts.Fatalf("unexpected success")
	}
}

// try runs a command in a qube. An *exec.ExitError that Exited is the
// command's own; any other error is the bench's.
func try(ts *testscript.TestScript, way machine.Way, args []string, stdout, stderr io.Writer) error {
	if len(args) < 2 {
		ts.Fatalf("want a qube and a command")
	}
	s := of(ts)
	q, err := s.bench.Qube(args[0])
	if err != nil {
		return err
	}
	if q.PID() == 0 {
		return fmt.Errorf("qube %q is not running", q.Name())
	}
	args = args[1:]
	var stdin io.Reader
	if file, ok := strings.CutPrefix(args[len(args)-1], "<"); ok {
		args = args[:len(args)-1]
		stdin = strings.NewReader(ts.ReadFile(file))
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), commandTime)
	defer cancel()
	cmd := q.Command(ctx, way, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, stderr
	err = cmd.Run()
	if ctx.Err() != nil {
		return fmt.Errorf("no end after %v: %w", commandTime, err)
	}
	if errors.Is(err, exec.ErrWaitDelay) {
		return nil // it went well and left a child in the background
	}
	return err
}

// until on|login|as-service|root NAME COMMAND...: tries until it succeeds
func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: until on|login|as-service|root NAME COMMAND...")
	}
	way, ok := ways()[args[0]]
	if !ok {
		ts.Fatalf("until: no way %q to run a command", args[0])
	}
	for deadline := time.Now().Add(untilTime); ; time.Sleep(50 * time.Millisecond) {
		var stdout, stderr strings.Builder
		err := try(ts, way, args[1:], &stdout, &stderr)
		if err == nil {
			_, _ = io.WriteString(ts.Stdout(), stdout.String())
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("not within %v: %v\n%s%s", untilTime, err, stdout.String(), stderr.String())
		}
	}
}

// put NAME PATH FILE
func put(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: put NAME PATH FILE")
	}
	s := of(ts)
	q, err := s.bench.Qube(args[0])
	ts.Check(err)
	ts.Check(q.Put(s.t.Context(), args[1], []byte(ts.ReadFile(args[2]))))
}

// policy LINE... or policy FILE
func policyLines(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("policy cannot be negated")
	}
	if len(args) == 1 {
		if text, err := os.ReadFile(ts.MkAbs(args[0])); err == nil {
			args = []string{string(text)}
		}
	}
	ts.Check(of(ts).bench.SetPolicy(args...))
}

// journal NAME [IDENTIFIER [JOURNALCTL-OPTION...]]
func journal(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: journal NAME [IDENTIFIER [JOURNALCTL-OPTION...]], then stdout or ! stdout")
	}
	s := of(ts)
	q, err := s.bench.Qube(args[0])
	ts.Check(err)
	options := []string{"-o", "cat"}
	if len(args) > 1 {
		options = append(options, "-t", args[1])
		options = append(options, args[2:]...)
	}
	text, err := q.Journal(s.t.Context(), options...)
	ts.Check(err)
	_, err = io.WriteString(ts.Stdout(), text)
	ts.Check(err)
}

// calls [COUNT [SERVICE]]
func calls(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 2 {
		ts.Fatalf("usage: calls [COUNT [SERVICE]]")
	}
	seen, err := of(ts).bench.Calls()
	ts.Check(err)
	all := seen.Calls
	if len(args) == 2 {
		all = slices.DeleteFunc(all, func(c dom0.Call) bool { return c.Service != args[1] })
	}
	for _, c := range all {
		fmt.Fprintln(ts.Stdout(), bench.FormatCall(c))
	}
	if len(args) == 0 {
		return
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	if len(all) != want {
		ts.Fatalf("%d qrexec calls, want %d", len(all), want)
	}
}

// ctl ARG...: the emulator's remote control
func ctl(ts *testscript.TestScript, neg bool, args []string) {
	s := of(ts)
	ctx, cancel := context.WithTimeout(s.t.Context(), commandTime)
	defer cancel()
	out, err := s.bench.Ctl(ctx, args...)
	_, _ = io.WriteString(ts.Stdout(), out)
	if neg && err == nil {
		ts.Fatalf("unexpected success")
	}
	if !neg {
		ts.Check(err)
	}
}

// wire NAME ADDRESS NAME ADDRESS
func wire(ctx context.Context, s *scenario, args []string) error {
	if len(args) != 4 {
		return errors.New("usage: wire NAME ADDRESS/BITS NAME ADDRESS/BITS")
	}
	return s.bench.Wire(ctx, args[0], args[1], args[2], args[3])
}

// answer allow:NAME|deny|never: what the person at dom0's prompt will say
func answer(ctx context.Context, s *scenario, args []string) error {
	_, err := s.bench.Ctl(ctx, append([]string{"answer"}, args...)...)
	return err
}
