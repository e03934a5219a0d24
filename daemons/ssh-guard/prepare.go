package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/splitvault/splitvault/pkg/consent"
	"github.com/splitvault/splitvault/pkg/hangup"
	"github.com/splitvault/splitvault/pkg/journal"
	"github.com/splitvault/splitvault/pkg/knownhosts"
	"github.com/splitvault/splitvault/pkg/qrexec"
	"github.com/splitvault/splitvault/pkg/rate"
	"github.com/splitvault/splitvault/pkg/rules"
	"github.com/splitvault/splitvault/pkg/rundir"
	"github.com/splitvault/splitvault/pkg/slots"
	"github.com/splitvault/splitvault/pkg/sshguard"
	"github.com/splitvault/splitvault/pkg/stale"
	"github.com/splitvault/splitvault/pkg/upstream"
)

const (
	connectTime  = 15 * time.Second // for the search for an agent, of which some may hang
	placeTime    = 20 * time.Second // for a place among the calls of the same qube
	callsPerQube = 16               // at once; an honest client's relays hold at most 8
	endGrace     = time.Second / 2  // for agents, once the client has stopped sending
)

// prepare reads the rules and connects to the agents they may be needed for.
// What is missing is said in the journal, and denied to the client.
func prepare(ctx context.Context, log logrus.FieldLogger, guard *sshguard.Guard, caller qrexec.Caller) upstream.Agents {
	name, err := rules.ParseAgentName(caller.Argument)
	if err != nil {
		log.WithField(journal.Cause, err).Warn("bad agent name: everything is denied")
		return nil
	}
	if name == rules.DefaultAgent {
		name = ""
	}
	guard.Agent = name
	remembered, err := stale.Remember(slices.Concat(rules.Paths(os.Getenv), knownhosts.Paths(os.Getenv, true))...)
	if err != nil {
		log.WithField(journal.Err, err).Error("no rules: everything is denied")
		return nil
	}
	guard.Stale = remembered.Changed // until the process ends
	file, err := rules.LoadOrDefault(rules.Paths(os.Getenv)...)
	if err != nil {
		log.WithField(journal.Err, err).Error("no rules: everything is denied")
		return nil
	}
	if !file.SSH.Serves(guard.Qube, string(name)) {
		return nil // not even an error that depends on the agents
	}
	guard.Rules = file.SSH
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	place := &upstream.Place{
		Runtime: rundir.Base(os.Getenv), Home: os.Getenv("HOME"), Environment: os.Getenv("SSH_AUTH_SOCK"),
		Session:  func(ctx context.Context) string { return upstream.SessionSocket(ctx, os.Getenv) },
		Official: upstream.OfficialDir,
	}
	agents, err := place.Dial(ctx, &file.SSH, name)
	if err != nil {
		log.WithField(journal.Err, err).Error("no agent")
		return nil
	}
	knowHosts(log, guard)
	openRates(log, guard)
	reachPerson(ctx, log, guard)
	for _, a := range agents {
		guard.Agents = append(guard.Agents, a)
	}
	return agents
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

// errBusy says that the qube holds as many calls as it may.
var errBusy = errors.New("too many calls of this qube at once")

// takePlace waits for one of the qube's places. Agents have few descriptors to
// spare: a hostile qube that holds calls must not take them all. Without a
// directory for it calls are not bounded.
func takePlace(ctx context.Context, log logrus.FieldLogger, qube string) (*slots.Slot, error) {
	dir, err := rundir.Make(rundir.Base(os.Getenv), "guards")
	if err != nil {
		log.WithField(journal.Err, err).Warn("no state directory: the calls of a qube are not bounded")
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, placeTime)
	defer cancel()
	place, err := slots.New(dir, "ssh+"+qube, callsPerQube).Acquire(ctx) // no qube's name has a "+"
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errBusy, err)
	}
	return place, nil
}

// knowHosts reads the vault's known hosts, by which a destination is believed.
func knowHosts(log logrus.FieldLogger, guard *sshguard.Guard) {
	db, err := knownhosts.Load(knownhosts.Paths(os.Getenv, guard.Rules.ShippedKnownHosts)...)
	if err != nil {
		log.WithField(journal.Err, err).Error("no known hosts: no destination is believed")
		return
	}
	if count, first := db.Bad(); count > 0 {
		log.WithFields(logrus.Fields{journal.Count: count, journal.Cause: first}).Warn("lines of known_hosts that cannot be read")
	}
	guard.KnownHosts = db
	guard.Candidates = append(guard.Rules.HostNames(), knownhosts.Candidates(knownhosts.ConfigPaths(os.Getenv)...)...)
}

// openRates opens the counters of the rules that have a rate.
func openRates(log logrus.FieldLogger, guard *sshguard.Guard) {
	ids := guard.Rules.Rated(guard.Qube, string(guard.Agent))
	if len(ids) == 0 {
		return
	}
	dir, err := rundir.Make(rundir.Base(os.Getenv), "rate")
	if err != nil {
		log.WithField(journal.Err, err).Error("no directory for rates: they count as used up")
		return
	}
	guard.Rates = make(map[string]*rate.Counter, len(ids))
	for _, id := range ids {
		counter, err := rate.Open(dir, id+"/"+guard.Qube)
		if err != nil {
			log.WithField(journal.Err, err).Error("no counter for a rate: it counts as used up")
			continue
		}
		guard.Rates[id] = counter
	}
}

// reachPerson connects to consentd, if a rule may ask this qube's owner.
func reachPerson(ctx context.Context, log logrus.FieldLogger, guard *sshguard.Guard) {
	if !guard.Rules.Asks(guard.Qube, string(guard.Agent)) {
		return
	}
	person, err := consent.Dial(ctx, os.Getenv)
	if err != nil {
		log.WithField(journal.Err, err).Warn("nobody can be asked: what the rules ask is denied")
		return
	}
	guard.Person = person
}
