package main

import (
	"context"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/splitvault/splitvault/pkg/consent"
	"github.com/splitvault/splitvault/pkg/guard"
	"github.com/splitvault/splitvault/pkg/hangup"
	"github.com/splitvault/splitvault/pkg/journal"
	"github.com/splitvault/splitvault/pkg/knownhosts"
	"github.com/splitvault/splitvault/pkg/rules"
	"github.com/splitvault/splitvault/pkg/rundir"
	"github.com/splitvault/splitvault/pkg/sshguard"
	"github.com/splitvault/splitvault/pkg/stale"
	"github.com/splitvault/splitvault/pkg/turn"
	"github.com/splitvault/splitvault/pkg/upstream"
)

const (
	connectTime  = 15 * time.Second // for the search for an agent, of which some may hang
	callsPerQube = 16               // at once; an honest client's relays hold at most 8
	endGrace     = time.Second / 2  // for agents, once the client has stopped sending
)

// reached is what a guard has connected to, for the whole of its call.
type reached struct {
	agents   upstream.Agents
	consentd *consent.Client // nil if the rules neither ask nor tell, or nobody is there
}

// prepare reads the rules and connects to the agents they may be needed for.
// What is missing is said in the journal, and denied to the client.
func prepare(ctx context.Context, call *guard.Call, firewall *sshguard.Guard) (found reached) {
	log := call.Log
	name, err := rules.ParseAgentName(call.Caller.Argument)
	if err != nil {
		log.WithField(journal.Cause, err).Warn("bad agent name: everything is denied")
		return found
	}
	if name == rules.DefaultAgent {
		name = ""
	}
	firewall.Agent = name
	remembered, err := stale.Remember(slices.Concat(rules.Paths(os.Getenv), knownhosts.Paths(os.Getenv, true))...)
	if err != nil {
		log.WithField(journal.Err, err).Error("no rules: everything is denied")
		return found
	}
	firewall.Stale = remembered.Changed // until the process ends
	file, err := rules.LoadOrDefault(rules.Paths(os.Getenv)...)
	if err != nil {
		log.WithField(journal.Err, err).Error("no rules: everything is denied")
		return found
	}
	if !file.SSH.Serves(firewall.Qube, string(name)) {
		return found // not even an error that depends on the agents
	}
	firewall.Rules = file.SSH
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	place := &upstream.Place{
		Runtime: rundir.Base(os.Getenv), Home: os.Getenv("HOME"), Environment: os.Getenv("SSH_AUTH_SOCK"),
		Session:  func(ctx context.Context) string { return upstream.SessionSocket(ctx, os.Getenv) },
		Official: upstream.OfficialDir,
	}
	found.agents, err = place.Dial(ctx, &file.SSH, name)
	if err != nil {
		log.WithField(journal.Err, err).Error("no agent")
		return found
	}
	knowHosts(log, firewall)
	firewall.Rates = call.Rates(firewall.Rules.Rated(firewall.Qube, string(firewall.Agent)))
	found.consentd = reachPerson(ctx, call, firewall)
	takeTurns(log, firewall.Qube, found.agents)
	for _, a := range found.agents {
		firewall.Agents = append(firewall.Agents, a)
	}
	return found
}

// watch has the call end when what it was connected to ends, while nothing is asked of
// it: a confined guard cannot connect anew.
func (r reached) watch(firewall *sshguard.Guard) (stop func(), err error) {
	ended, unwatch, err := r.agents.Watch()
	if err != nil {
		return nil, err
	}
	firewall.AgentEnded = ended
	if r.consentd == nil {
		return unwatch, nil
	}
	consentd, err := r.consentd.Watch()
	if err != nil {
		unwatch()
		return nil, err
	}
	firewall.PersonEnded = consentd.Gone()
	return func() { unwatch(); consentd.Close() }, nil
}

// prepareFor gives up soon after the client has stopped sending: agents that hang
// must not keep a guard whose client is gone. (qrexec ends a service's input then,
// and keeps its output open.)
func prepareFor(ctx context.Context, in syscall.Conn, prepare func(ctx context.Context) error) error {
	ended, err := hangup.WatchInput(in)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	prepared := make(chan struct{})
	defer func() {
		close(prepared)
		cancel()
		ended.Close()
	}()
	go func() {
		select {
		case <-ended.Gone():
		case <-prepared:
			return
		}
		select {
		case <-time.After(endGrace):
			cancel()
		case <-prepared:
		}
	}()
	return prepare(ctx)
}

// knowHosts reads the vault's known hosts, by which a destination is believed.
func knowHosts(log logrus.FieldLogger, firewall *sshguard.Guard) {
	db, err := knownhosts.Load(knownhosts.Paths(os.Getenv, firewall.Rules.ShippedKnownHosts)...)
	if err != nil {
		log.WithField(journal.Err, err).Error("no known hosts: no destination is believed")
		return
	}
	firewall.KnownHosts = db
	firewall.Candidates = append(firewall.Rules.HostNames(), knownhosts.Candidates(knownhosts.ConfigPaths(os.Getenv)...)...)
}

// reachPerson connects to consentd if a rule may ask about this qube or tell of it.
func reachPerson(ctx context.Context, call *guard.Call, firewall *sshguard.Guard) *consent.Client {
	qube, agent := firewall.Qube, string(firewall.Agent)
	asks, notifies := firewall.Rules.Asks(qube, agent), firewall.Rules.Notifies(qube, agent)
	switch {
	case asks:
		if person := call.Person(ctx); person != nil {
			firewall.Person, firewall.Notices = person, person
			return person
		}
	case notifies:
		if desktop := call.Desktop(ctx); desktop != nil {
			firewall.Notices = desktop
			return desktop
		}
	}
	return nil
}

// takeTurns has the calls of a qube ask an agent one at a time.
func takeTurns(log logrus.FieldLogger, qube string, agents upstream.Agents) {
	dir, err := rundir.Make(rundir.Base(os.Getenv), "turns")
	if err != nil {
		log.WithField(journal.Err, err).Warn("no state directory: a qube can put many questions to an agent at once")
		return
	}
	for _, a := range agents {
		if a.Turn, err = turn.Open(dir, qube+"/"+a.Path); err != nil {
			log.WithField(journal.Err, err).Warn("a qube can put many questions to an agent at once")
		}
	}
}
