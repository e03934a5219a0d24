package sshguard

import (
	"context"
	"fmt"

	"github.com/splitvault/splitvault/pkg/consent"
	"github.com/splitvault/splitvault/pkg/journal"
	"github.com/splitvault/splitvault/pkg/rules"
	"github.com/splitvault/splitvault/pkg/sshagent"
	"github.com/splitvault/splitvault/pkg/sshagent/bind"
)

// ask asks the person at the vault's screen. nil is a yes. When the client hangs
// up ctx ends, and with it the prompt.
func (g *Guard) ask(ctx context.Context, u use, v rules.Verdict) error {
	if g.Person == nil {
		g.lacks = ErrPerson
		return errNoPerson
	}
	question := g.question(u)
	question.Remember = v.Remember
	question.Named = v.Remember > 0 // the rules have judged that
	answer, err := g.Person.Ask(ctx, question.Request())
	if err != nil {
		return fmt.Errorf("asking a person: %w", err)
	}
	if !answer.Allowed() {
		return fmt.Errorf("asked a person: %s", answer)
	}
	return nil
}

// question is what a person is told of a use.
func (g *Guard) question(u use) consent.SSH {
	question := consent.SSH{
		Qube:        g.Qube,
		Agent:       string(g.Agent),
		Label:       u.held.comment,
		Fingerprint: u.held.key.PlainFingerprint(),
		Purpose:     u.purpose,
	}
	if u.data.Login != nil {
		question.User = u.data.Login.User
		if len(u.host.Names) > 0 {
			question.Host = u.host.Names[0]
		}
		// The key of an unknown host counts only if the login is worth nothing
		// elsewhere: clients bind with keys of their own.
		if u.proven() || u.host.Known() {
			question.HostKey = sshagent.Fingerprint(u.dest.HostKey)
		}
	}
	if g.binds.Forwarded() {
		question.Forwarded, question.Path = true, g.path(g.binds.Judge(nil))
	}
	return question
}

// tell tells the vault's owner of a use that a rule with notify has decided. It is
// a courtesy: without anybody to tell it to the use goes on.
func (g *Guard) tell(u use, v rules.Verdict) {
	if !v.Notify || g.Notices == nil {
		return
	}
	question := g.question(u)
	if err := g.Notices.Notify(question.Notice(v.Decision != rules.Deny)); err != nil && g.mayLog() {
		g.Log.WithField(journal.Err, err).Warn("nobody could be told of this use")
	}
}

// path names the hosts through which the agent is forwarded, as far as the vault
// knows them.
func (g *Guard) path(d bind.Destination) []string {
	names := make([]string, 0, len(d.Path))
	for _, hop := range d.Path {
		known := g.known(hop.HostKey)
		switch {
		case hop.Verified && len(known.Names) > 0:
			names = append(names, known.Names[0])
		default:
			names = append(names, "unknown host "+sshagent.Fingerprint(hop.HostKey))
		}
	}
	return names
}
