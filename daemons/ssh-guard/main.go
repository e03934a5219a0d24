// No search for the control group's limit of processors: one is used.
//
//go:debug containermaxprocs=0

// Command ssh-guard is the agent firewall of the vault qube. qrexec starts one
// for each call of qubes.Ssh:
//
//	client qube ─► dom0's policy ─► ssh-guard: parse, judge by rules.toml ─► the vault's ssh agent
package main

import (
	"context"
	"errors"
	"os"
	"runtime"

	"github.com/sirupsen/logrus"

	"github.com/splitvault/splitvault/pkg/confine"
	"github.com/splitvault/splitvault/pkg/guard"
	"github.com/splitvault/splitvault/pkg/hangup"
	"github.com/splitvault/splitvault/pkg/journal"
	"github.com/splitvault/splitvault/pkg/qrexec"
	"github.com/splitvault/splitvault/pkg/slots"
	"github.com/splitvault/splitvault/pkg/sshguard"
	"github.com/splitvault/splitvault/pkg/stdio"
)

const usage = `usage: ssh-guard

Lets a client qube use the ssh agent of this vault qube, as far as the vault's
rules allow. qrexec starts it: /etc/qubes-rpc/qubes.Ssh is a link to it.
Rules: ~/.config/splitvault/rules.toml, else /etc/splitvault/rules.toml.
See ssh-guard(8) and splitvault-rules(5).
`

func main() {
	// It serves one client, one request at a time: more processors make threads and
	// wake them, and gain nothing.
	runtime.GOMAXPROCS(1)
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout, stderr *os.File) int {
	if code, done := guard.Options("ssh-guard", usage, args, stdout, stderr); done {
		return code
	}
	call, code := guard.Begin("ssh-guard", func(caller qrexec.Caller) logrus.Fields {
		return logrus.Fields{journal.Agent: journal.Quote(caller.Argument)}
	}, stderr)
	if call == nil {
		return code
	}
	defer call.Close()
	served, err := serve(call)
	closed := call.Log.WithFields(logrus.Fields{
		journal.BytesIn: served.Stats.BytesIn, journal.BytesOut: served.Stats.BytesOut,
		journal.Count: served.Stats.Signed, journal.DurationMS: call.Took(),
	})
	if n := served.Stats.Unlogged; n > 0 {
		call.Log.WithField(journal.Count, n).Warn("more requests were denied or failed than are logged one by one")
	}
	code, line := verdict(closed, served.Stats.Answers, err)
	if line != "" {
		call.Tell(line)
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
		return guard.ExitOK, ""
	case gone:
		log.WithField(journal.Cause, err).Info("call closed")
	case errors.Is(err, sshguard.ErrStale):
		log.WithField(journal.Cause, err).Info("call closed")
	case bad, errors.Is(err, sshguard.ErrAgent), errors.Is(err, sshguard.ErrPerson), errors.Is(err, guard.ErrBusy):
		log.WithField(journal.Cause, err).Warn("call closed")
	default:
		log.WithField(journal.Err, err).Error("call failed")
	}
	switch {
	case answers > 0:
		return guard.ExitOK, ""
	case gone:
		return guard.ExitInternal, "the client hung up"
	case bad:
		return guard.ExitBadRequest, "bad request"
	case errors.Is(err, guard.ErrBusy):
		return guard.ExitInternal, guard.ErrBusy.Error()
	default:
		return guard.ExitInternal, "internal error, see the vault's journal"
	}
}

// serve opens all that the guard may need, confines the process, and only then
// reads the first byte of the client.
func serve(call *guard.Call) (*sshguard.Guard, error) {
	firewall := &sshguard.Guard{Qube: string(call.Caller.Qube), Log: call.Log, Lost: call.Trail.Lost}
	in, out, err := stdio.Open()
	if err != nil {
		return firewall, err
	}
	gone, err := hangup.Watch(out)
	if err != nil {
		return firewall, err
	}
	defer gone.Close()
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	go func() {
		<-gone.Gone()
		cancel(sshguard.ErrGone)
	}()
	var place *slots.Slot
	var found reached
	err = prepareFor(ctx, in, func(ctx context.Context) (err error) {
		if place, err = call.Place(ctx, "ssh", callsPerQube); err == nil {
			found = prepare(ctx, call, firewall)
		}
		return err
	})
	defer func() { _ = place.Release() }() // which the end of the process does, too
	if err != nil {
		return firewall, err
	}
	defer found.agents.Close()
	if ctx.Err() != nil {
		return firewall, context.Cause(ctx)
	}
	stop, err := found.watch(firewall)
	if err != nil {
		return firewall, err
	}
	defer stop()
	landlocked, err := confine.Guard()
	if err != nil {
		return firewall, err
	}
	if !landlocked {
		call.Log.Warn("this kernel has no Landlock: only the filter of system calls keeps the guard from files")
	}
	return firewall, firewall.Serve(ctx, in, out)
}
