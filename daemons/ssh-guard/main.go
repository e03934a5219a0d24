// Command ssh-guard is the agent firewall of the vault qube. qrexec starts one
// for each call of qubes.Ssh:
//
//	client qube ─► dom0's policy ─► ssh-guard: parse, judge by rules.toml ─► the vault's ssh agent
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"github.com/splitvault/splitvault/pkg/audit"
	"github.com/splitvault/splitvault/pkg/confine"
	"github.com/splitvault/splitvault/pkg/hangup"
	"github.com/splitvault/splitvault/pkg/journal"
	"github.com/splitvault/splitvault/pkg/qrexec"
	"github.com/splitvault/splitvault/pkg/slots"
	"github.com/splitvault/splitvault/pkg/sshguard"
	"github.com/splitvault/splitvault/pkg/stdio"
	"github.com/splitvault/splitvault/pkg/upstream"
	"github.com/splitvault/splitvault/pkg/version"
)

const usage = `usage: ssh-guard

Lets a client qube use the ssh agent of this vault qube, as far as the vault's
rules allow. qrexec starts it: /etc/qubes-rpc/qubes.Ssh is a link to it.
Rules: ~/.config/splitvault/rules.toml, else /etc/splitvault/rules.toml.
See ssh-guard(8) and splitvault-rules(5).
`

// Exit codes; 125 and above are qrexec's own.
const (
	exitOK = iota
	exitInternal
	exitBadRequest
)

// identifier is what journalctl -t takes.
const identifier = "splitvault-ssh-guard"

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr *os.File) int {
	if code, done := options(args, stdout, stderr); done {
		return code
	}
	// A client that is gone shows as an error of a write; the signal would end
	// the program with a code that is qrexec's.
	signal.Ignore(unix.SIGPIPE)
	// Standard error is shown in the calling qube: one line at most.
	client, err := stdio.TakeStderr(stdio.JournalStream, identifier)
	if err != nil {
		fmt.Fprintln(stderr, "ssh-guard: internal error")
		return exitInternal
	}
	log := journal.New("ssh-guard", journal.Foreign)
	caller, err := qrexec.CallerFrom(os.Getenv)
	if err != nil {
		log.WithField(journal.Err, err).Error("not started by qrexec")
		fmt.Fprintln(client, "ssh-guard: not started by qrexec")
		return exitBadRequest
	}
	entry := log.WithFields(logrus.Fields{
		journal.Conn: os.Getpid(), journal.Qube: caller.Qube, journal.Service: caller.Service, journal.Agent: journal.Quote(caller.Argument),
	})
	trail, err := audit.Open(audit.Options{Daemon: "ssh-guard", Qube: string(caller.Qube), Getenv: os.Getenv})
	trail.Attach(log)
	if err != nil {
		entry.WithField(journal.Err, err).Error("no audit file: the journal alone has what was given")
	}
	defer trail.Close()
	entry.Info("call opened")
	start := time.Now()
	guard, err := serve(entry, trail, caller)
	closed := entry.WithFields(logrus.Fields{
		journal.BytesIn: guard.Stats.BytesIn, journal.BytesOut: guard.Stats.BytesOut,
		journal.Count: guard.Stats.Signed, journal.DurationMS: time.Since(start).Milliseconds(),
	})
	if n := guard.Stats.Unlogged; n > 0 {
		entry.WithField(journal.Count, n).Warn("more requests were denied or failed than are logged one by one")
	}
	code, line := verdict(closed, guard.Stats.Answers, err)
	if line != "" {
		// Nobody may be there to read it.
		_, _ = fmt.Fprintln(client, "ssh-guard:", line)
	}
	return code
}

// verdict logs how the call ended, and returns the exit code and what the calling
// qube may know of it. A call in which anything was answered was answered.
func verdict(log *logrus.Entry, answers int, err error) (code int, line string) {
	bad, gone := errors.Is(err, sshguard.ErrBadRequest), errors.Is(err, sshguard.ErrGone)
	switch {
	case err == nil:
		log.Info("call closed")
		return exitOK, ""
	case gone:
		log.WithField(journal.Cause, err).Info("call closed")
	case errors.Is(err, sshguard.ErrStale):
		log.WithField(journal.Cause, err).Info("call closed")
	case bad, errors.Is(err, sshguard.ErrAgent), errors.Is(err, errBusy):
		log.WithField(journal.Cause, err).Warn("call closed")
	default:
		log.WithField(journal.Err, err).Error("call failed")
	}
	switch {
	case answers > 0:
		return exitOK, ""
	case gone:
		return exitInternal, "the client hung up"
	case bad:
		return exitBadRequest, "bad request"
	case errors.Is(err, errBusy):
		return exitInternal, errBusy.Error()
	default:
		return exitInternal, "internal error, see the vault's journal"
	}
}

// serve opens all that the guard may need, confines the process, and only then
// reads the first byte of the client.
func serve(log logrus.FieldLogger, trail *audit.Log, caller qrexec.Caller) (*sshguard.Guard, error) {
	guard := &sshguard.Guard{Qube: string(caller.Qube), Log: log, Lost: trail.Lost}
	in, out, err := stdio.Open()
	if err != nil {
		return guard, err
	}
	gone, err := hangup.Watch(out)
	if err != nil {
		return guard, err
	}
	defer gone.Close()
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	go func() {
		<-gone.Gone()
		cancel(sshguard.ErrGone)
	}()
	var place *slots.Slot
	var agents upstream.Agents
	err = prepareFor(ctx, in, func(ctx context.Context) (err error) {
		if place, err = takePlace(ctx, log, guard.Qube); err == nil {
			agents = prepare(ctx, log, guard, caller)
		}
		return err
	})
	defer func() { _ = place.Release() }() // which the end of the process does, too
	if err != nil {
		return guard, err
	}
	defer agents.Close()
	if ctx.Err() != nil {
		return guard, context.Cause(ctx)
	}
	landlocked, err := confine.Guard()
	if err != nil {
		return guard, err
	}
	if !landlocked {
		log.Warn("this kernel has no Landlock: only the filter of system calls keeps the guard from files")
	}
	return guard, guard.Serve(ctx, in, out)
}

func options(args []string, stdout, stderr io.Writer) (code int, done bool) {
	// qrexec passes the client's argument as the first: it is no option.
	if os.Getenv("QREXEC_SERVICE_FULL_NAME") != "" {
		return 0, false
	}
	flags := flag.NewFlagSet("ssh-guard", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	showVersion := flags.Bool("version", false, "")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, usage)
		return exitOK, true
	case err != nil || flags.NArg() > 0:
		fmt.Fprintln(stderr, "ssh-guard: wants no arguments (ssh-guard --help)")
		return exitBadRequest, true
	case *showVersion:
		fmt.Fprintln(stdout, "ssh-guard", version.String())
		return exitOK, true
	}
	return 0, false
}
