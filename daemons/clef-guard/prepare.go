package main

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/splitvault/splitvault/pkg/clefbackend"
	"github.com/splitvault/splitvault/pkg/clefguard"
	"github.com/splitvault/splitvault/pkg/clefstart"
	"github.com/splitvault/splitvault/pkg/cooldown"
	"github.com/splitvault/splitvault/pkg/guard"
	"github.com/splitvault/splitvault/pkg/journal"
	"github.com/splitvault/splitvault/pkg/qrexec"
	"github.com/splitvault/splitvault/pkg/rules"
	"github.com/splitvault/splitvault/pkg/rundir"
)

// patience is how long a call waits for a Clef that is being started and unlocked.
const patience = 15 * time.Second

// prepare reads the rules, and opens and connects to all that the call may need:
// the argument tells the method before the first byte is read. What is missing is
// said in the journal and to the client, once its request is known.
func prepare(ctx context.Context, call *guard.Call) (judge *clefguard.Guard, closeAll func()) {
	var open []func()
	closeAll = func() {
		for _, c := range open {
			c()
		}
	}
	qube, method := string(call.Caller.Qube), call.Caller.Argument
	judge = &clefguard.Guard{Qube: qube, Vault: qrexec.Self(), Log: call.Log, Lost: call.Trail.Lost}
	file, err := rules.LoadClefOrDefault(rules.Paths(os.Getenv)...)
	if err != nil {
		call.Log.WithField(journal.Err, err).Error("no rules: everything is denied")
		return judge, closeAll
	}
	judge.Rules = file.Clef
	if !judge.Rules.Serves(qube, method) {
		return judge, closeAll // not even a Clef is started
	}
	place, err := call.Place(ctx, "clef", judge.Rules.Pending)
	if judge.Busy = errors.Is(err, guard.ErrBusy); judge.Busy {
		return judge, closeAll
	}
	open = append(open, func() { _ = place.Release() })
	judge.Rates = call.Rates(judge.Rules.Rated(qube, method))
	judge.Refused = refusals(call, qube)
	open = append(open, judge.Refused.Close)
	backend := judge.Rules.Backend.Expand(rundir.Base(os.Getenv), os.Getenv("HOME"))
	conn, err := clefstart.Dial(ctx, clefstart.Backend{Network: backend.Network, Address: backend.Address}, os.Getenv, patience)
	judge.Connect = connected(conn, err)
	if err == nil {
		open = append(open, func() { conn.Close() })
		reachPerson(ctx, call, judge)
	}
	return judge, closeAll
}

// connected hands out the one connection that was made.
func connected(conn *clefbackend.Conn, err error) func(context.Context) (clefguard.Backend, error) {
	return func(context.Context) (clefguard.Backend, error) {
		if err != nil {
			return nil, err
		}
		return conn, nil
	}
}

// refusals opens the mark of what was refused to a qube in Clef itself.
func refusals(call *guard.Call, qube string) *cooldown.Mark {
	dir, err := rundir.Make(rundir.Base(os.Getenv), "refused")
	if err != nil {
		call.Log.WithField(journal.Err, err).Warn("no state directory: refusals are not remembered")
		return nil
	}
	mark, err := cooldown.Open(dir, "clef+"+qube)
	if err != nil {
		call.Log.WithField(journal.Err, err).Warn("refusals are not remembered")
		return nil
	}
	return mark
}

// reachPerson connects to consentd if a rule may ask about this call or tell of it.
func reachPerson(ctx context.Context, call *guard.Call, judge *clefguard.Guard) {
	switch {
	case judge.Rules.Asks(judge.Qube, call.Caller.Argument):
		if person := call.Person(ctx); person != nil {
			judge.Person, judge.Notices = person, person
		}
	case judge.Rules.Notifies(judge.Qube, call.Caller.Argument):
		if desktop := call.Desktop(ctx); desktop != nil {
			judge.Notices = desktop
		}
	}
}
