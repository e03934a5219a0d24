package sshguard

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/splitvault/splitvault/pkg/audit"
	"github.com/splitvault/splitvault/pkg/journal"
	"github.com/splitvault/splitvault/pkg/knownhosts"
	"github.com/splitvault/splitvault/pkg/rules"
	"github.com/splitvault/splitvault/pkg/sshagent"
)

// held is a key that some agent of the vault has now.
type held struct {
	key     sshagent.Key
	comment string // the vault's own
	agent   Agent
}

var errNoAgents = errors.New("no agent to ask")

// keys asks all agents, anew for every request: a key counts only while an
// agent has it. A key that two agents have is the first one's.
func (g *Guard) keys(ctx context.Context) ([]held, error) {
	if len(g.Agents) == 0 {
		return nil, errNoAgents
	}
	var all []held
	for _, a := range g.Agents {
		ids, err := a.List(ctx, &g.binds)
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			key, err := sshagent.ParseKey(id.Blob)
			if err != nil || slices.ContainsFunc(all, func(h held) bool { return h.key.Is(id.Blob) }) {
				continue
			}
			all = append(all, held{key: key, comment: string(id.Comment), agent: a})
		}
	}
	return all, nil
}

// request is what the rules are asked about a key: of no use yet.
func (g *Guard) request(h held) rules.SSHRequest {
	return rules.SSHRequest{
		Qube:         g.Qube,
		Agent:        string(g.Agent),
		Fingerprints: []string{h.key.Fingerprint(), h.key.PlainFingerprint()},
		Certificate:  h.key.Certificate,
		Comment:      h.comment,
	}
}

// known tells what the vault knows of a host key; nothing of none.
func (g *Guard) known(hostKey []byte) knownhosts.Result {
	if hostKey == nil {
		return knownhosts.Result{}
	}
	result := g.KnownHosts.Names(hostKey, g.Candidates, time.Now())
	if count, first := g.KnownHosts.Bad(); count > 0 && !g.badHosts {
		g.badHosts = true
		g.Log.WithFields(logrus.Fields{journal.Count: count, journal.Cause: first}).Warn("lines of known_hosts that cannot be read")
	}
	return result
}

// list answers REQUEST_IDENTITIES: a failure for a qube that no rule serves, the
// keys it may use for the others, in the order of the rules. A connection that is
// bound to a session with a host is offered only what may be used there: servers
// close after a few wrong keys, and need not learn of the others.
func (g *Guard) list(ctx context.Context) sshagent.Frame {
	log := g.Log.WithField(journal.Method, sshagent.TypeRequestIdentities)
	if !g.Rules.Serves(g.Qube, string(g.Agent)) {
		return g.refuse(log, "no rule serves this qube")
	}
	keys, err := g.keys(ctx)
	if err != nil {
		return g.fail(log, err)
	}
	type shown struct {
		id    sshagent.Identity
		order int
	}
	bound := g.binds.Destination()
	hosts := g.known(bound).Names
	var list []shown
	for _, h := range keys {
		r := g.request(h)
		r.Bound, r.Forwarded, r.Hosts = bound != nil, g.binds.Forwarded(), hosts
		if v := g.Rules.Listed(r); v.Decision != rules.Deny {
			list = append(list, shown{sshagent.Identity{Blob: h.key.Blob, Comment: []byte(g.label(h))}, v.Order})
		}
	}
	slices.SortStableFunc(list, func(a, b shown) int { return cmp.Compare(a.order, b.order) })
	ids := make([]sshagent.Identity, 0, len(list))
	for _, s := range list {
		ids = append(ids, s.id)
	}
	reply, err := sshagent.IdentitiesReply(ids)
	if err != nil {
		return g.fail(log, err)
	}
	if err := g.recordList(log, ids); err != nil {
		return g.fail(log, err)
	}
	return reply
}

// recordList logs which keys the qube now knows of, once for equal lists.
func (g *Guard) recordList(log logrus.FieldLogger, ids []sshagent.Identity) error {
	fingerprints := make([]string, 0, len(ids))
	for _, id := range ids {
		fingerprints = append(fingerprints, sshagent.Fingerprint(id.Blob))
	}
	all := strings.Join(fingerprints, " ")
	if all == g.shown {
		return nil
	}
	for _, some := range audit.Keys(fingerprints) {
		log.WithFields(logrus.Fields{journal.Count: len(ids), journal.Key: some, journal.Verdict: rules.Allow}).Info(audit.MessageListed)
	}
	g.shown = all
	return g.lost()
}

// lost tells whether what was given could not be recorded.
func (g *Guard) lost() error {
	if g.Lost == nil {
		return nil
	}
	return g.Lost()
}

// maxComment bounds a comment that is shown to a client, in bytes.
const maxComment = 64

// label is the comment a client sees. The vault's own names people and
// machines; it is shown only if the rules say so, and never as raw bytes.
func (g *Guard) label(h held) string {
	if !g.Rules.Comments {
		return "vault:" + strings.TrimPrefix(h.key.PlainFingerprint(), "SHA256:")[:8]
	}
	quoted := strconv.QuoteToASCII(h.comment[:min(len(h.comment), maxComment)])
	return quoted[1 : len(quoted)-1]
}
