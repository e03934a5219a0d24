// No search for the control group's limit of processors: one is used.
//
//go:debug containermaxprocs=0

// Command pass-guard gives client qubes what the vault's rules let them have of its
// password store. qrexec starts one for each call of a pass.* service:
//
//	client qube ─► dom0's policy ─► pass-guard: parse, judge by rules.toml ─► gpg ─► ~/.password-store
package main

import (
	"context"
	"errors"
	"os"
	"runtime"

	"github.com/sirupsen/logrus"

	"github.com/splitvault/splitvault/pkg/guard"
	"github.com/splitvault/splitvault/pkg/hangup"
	"github.com/splitvault/splitvault/pkg/journal"
	"github.com/splitvault/splitvault/pkg/passcode"
	"github.com/splitvault/splitvault/pkg/passguard"
	"github.com/splitvault/splitvault/pkg/passproto"
	"github.com/splitvault/splitvault/pkg/secret"
	"github.com/splitvault/splitvault/pkg/stdio"
)

const usage = `usage: pass-guard

Gives client qubes what the vault's rules let them have of the password store in
~/.password-store. qrexec starts it: the files pass.* in /etc/qubes-rpc are links to it.
Rules: ~/.config/splitvault/rules.toml, else /etc/splitvault/rules.toml.
See pass-guard(8) and splitvault-rules(5).
`

func main() {
	// It serves one request: more processors make threads and wake them, and gain
	// nothing.
	runtime.GOMAXPROCS(1)
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout, stderr *os.File) int {
	if code, done := guard.Options("pass-guard", usage, args, stdout, stderr); done {
		return code
	}
	call, code := guard.Begin("pass-guard", nil, stderr)
	if call == nil {
		return code
	}
	defer call.Close()
	served, err := serve(call)
	result := verdict(err)
	closed := call.Log.WithFields(logrus.Fields{
		journal.BytesIn: served.Stats.BytesIn, journal.BytesOut: served.Stats.BytesOut,
		journal.Count: served.Stats.Count, journal.DurationMS: call.Took(), journal.Exit: int(result),
	})
	_, told := errors.AsType[*passguard.Failure](err)
	switch {
	case err == nil || told: // a failure has its line
		closed.Info("call closed")
	case errors.Is(err, passguard.ErrGone):
		closed.WithField(journal.Cause, err).Info("call closed")
	case errors.Is(err, guard.ErrBusy):
		closed.WithField(journal.Cause, err).Warn("call closed")
	default:
		closed.WithField(journal.Err, err).Error("call failed")
	}
	if result != passcode.OK {
		call.Tell(result.Text())
	}
	return int(result)
}

// verdict is the exit code, which is all that the calling qube learns of a no.
func verdict(err error) passcode.Code {
	if f, ok := errors.AsType[*passguard.Failure](err); ok {
		return f.Code
	}
	switch {
	case err == nil:
		return passcode.OK
	case errors.Is(err, guard.ErrBusy):
		return passcode.Busy
	default:
		return passcode.Internal
	}
}

// serve opens all that the guard may need, confines the process, and only then
// reads the first byte of the client.
func serve(call *guard.Call) (*passguard.Guard, error) {
	served := &passguard.Guard{Qube: string(call.Caller.Qube), Log: call.Log, Lost: call.Trail.Lost}
	in, out, err := stdio.Open()
	if err != nil {
		return served, err
	}
	gone, err := hangup.WatchOutput(out)
	if err != nil {
		return served, err
	}
	defer gone.Close()
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	go func() {
		<-gone.Gone()
		cancel(passguard.ErrGone)
	}()
	place, err := call.Place(ctx, "pass", callsPerQube)
	defer func() { _ = place.Release() }() // which the end of the process does, too
	if err != nil {
		return served, err
	}
	if err := secret.Lockable(4 * passproto.MaxBody); err != nil {
		call.Log.WithField(journal.Err, err).Warn("not all memory for secrets can be locked: some could be swapped out")
	}
	opened := prepare(ctx, call, served)
	if ctx.Err() != nil {
		return served, context.Cause(ctx)
	}
	if err := opened.confine(call); err != nil {
		return served, err
	}
	return served, served.Serve(ctx, call.Caller.Service, call.Caller.Argument, in, out)
}
