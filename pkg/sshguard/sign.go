package sshguard

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/splitvault/splitvault/pkg/journal"
	"github.com/splitvault/splitvault/pkg/knownhosts"
	"github.com/splitvault/splitvault/pkg/rules"
	"github.com/splitvault/splitvault/pkg/sshagent"
	"github.com/splitvault/splitvault/pkg/sshagent/bind"
)

// use is one use of one key, as far as it is understood.
type use struct {
	request sshagent.SignRequest
	held    held
	data    sshagent.SignData
	purpose string // as rules name it: "login", "sshsig:git", …
	dest    bind.Destination
	host    knownhosts.Result // of dest
}

var (
	errNoKey    = errors.New("no agent has that key")
	errMismatch = errors.New("the login is for another session or host than the connection was bound to")
	errRevoked  = errors.New("the login is to a host whose key is marked @revoked in the vault's known_hosts")
	errNoPerson = errors.New("the rule asks a person, and nobody can be asked: the lines before say why")
)

// sign answers SIGN_REQUEST. The only way to a signature is through every step
// of understand, judge and carryOut.
func (g *Guard) sign(ctx context.Context, frame sshagent.Frame) sshagent.Frame {
	log := g.Log.WithField(journal.Method, sshagent.TypeSignRequest)
	u, err := g.understand(ctx, frame)
	log = log.WithFields(u.fields())
	if err != nil {
		return g.refuse(log, err)
	}
	verdict, err := g.judge(ctx, u)
	log = log.WithField(journal.Rule, verdict.Rule)
	if err != nil {
		if verdict.Decision == rules.Deny {
			g.tell(u, verdict)
		}
		return g.refuse(log, err)
	}
	log = log.WithField(journal.Verdict, verdict.Decision)
	reply, err := g.carryOut(ctx, u)
	if err != nil {
		return g.fail(log, err)
	}
	log.Info("signed")
	if err := g.lost(); err != nil {
		return g.fail(log, err)
	}
	g.Stats.Signed++
	g.tell(u, verdict)
	return reply
}

// understand finds out what is asked for.
func (g *Guard) understand(ctx context.Context, untrusted sshagent.Frame) (use, error) {
	request, err := sshagent.ParseSignRequest(untrusted)
	if err != nil {
		return use{}, err
	}
	key, err := sshagent.ParseKey(request.Key)
	if err != nil {
		return use{}, err
	}
	u := use{request: request, held: held{key: key}}
	if err := key.CheckFlags(request.Flags); err != nil {
		return u, err
	}
	u.data = sshagent.ParseSignData(request.Data, key, request.Flags)
	u.purpose = string(u.data.Purpose(g.binds.Forwarded()))
	switch u.data.Kind {
	case sshagent.KindSSHSIG:
		u.purpose += ":" + u.data.SSHSIG.Namespace
	case sshagent.KindLogin:
		if u.dest = g.binds.Judge(u.data.Login); u.dest.Grade == bind.Mismatch {
			return u, errMismatch
		}
		if u.host = g.known(u.dest.HostKey); u.host.Revoked {
			return u, errRevoked
		}
	}
	keys, err := g.keys(ctx)
	if err != nil {
		return u, err
	}
	for _, h := range keys {
		if h.key.Is(request.Key) {
			u.held = h
			return u, nil
		}
	}
	return u, errNoKey
}

// judge applies the rules, and asks a person where they say so. Its only success
// is an allow or a yes, for a key that the qube would be shown too.
func (g *Guard) judge(ctx context.Context, u use) (rules.Verdict, error) {
	request := g.request(u.held)
	if v := g.Rules.Listed(request); v.Decision == rules.Deny {
		return v, fmt.Errorf("denied: %s", v.Rule)
	}
	request.Purpose = u.purpose
	if u.data.Login != nil {
		request.User, request.Hosts = u.data.Login.User, u.host.Names
	}
	verdict := g.Rules.Judge(request)
	if g.binds.Forwarded() && u.data.Kind != sshagent.KindLogin {
		verdict = g.forwarded(request, verdict)
	}
	switch verdict.Decision {
	case rules.Allow:
		if g.withinRate(verdict) {
			return verdict, nil
		}
		verdict.Decision = rules.Ask
		return verdict, g.ask(ctx, u, verdict)
	case rules.Ask:
		return verdict, g.ask(ctx, u, verdict)
	default:
		return verdict, fmt.Errorf("denied: %s", verdict.Rule)
	}
}

// forwarded is the verdict on a use that is no login and comes through a forwarded
// agent: a server asks for it. It takes a rule that names forwarded-login too.
func (g *Guard) forwarded(request rules.SSHRequest, verdict rules.Verdict) rules.Verdict {
	request.Purpose = string(sshagent.PurposeForwardedLogin)
	if v := g.Rules.Judge(request); v.Decision < verdict.Decision {
		v.Rule += ", for use through a forwarded agent"
		return v
	}
	return verdict
}

// withinRate counts one more use by the rule, and tells whether the rule still
// allows it by itself. What cannot be counted is too much.
func (g *Guard) withinRate(v rules.Verdict) bool {
	if v.Rate.Count == 0 {
		return true
	}
	ok, err := g.Rates[v.ID].Allow(time.Now(), v.Rate)
	if err != nil {
		g.Log.WithField(journal.Err, err).Error("a rule's rate cannot be counted: it counts as used up")
	}
	return ok && err == nil
}

// carryOut has the agent sign: the request is built anew from its parts, and
// the answer must be a signature by this key over these data.
func (g *Guard) carryOut(ctx context.Context, u use) (sshagent.Frame, error) {
	request, err := u.request.Frame()
	if err != nil {
		return sshagent.Frame{}, err
	}
	reply, err := u.held.agent.Sign(ctx, &g.binds, u.proven(), request)
	if err != nil {
		return sshagent.Frame{}, err
	}
	if reply.Type() == sshagent.TypeFailure {
		return sshagent.Frame{}, errors.New("the agent refuses: it may be locked, or a person said no there")
	}
	if err := sshagent.CheckSignReply(reply, u.held.key, u.request.Flags); err != nil {
		return sshagent.Frame{}, err
	}
	if err := verify(reply, u.held.key, u.request.Data); err != nil {
		return sshagent.Frame{}, err
	}
	return reply, nil
}

// proven tells whether the destination is a fact: the login's data names the
// host's key, so that the signature is worth nothing elsewhere. A binding proves
// only that the owner of a key, be it a known host's, signed the session.
func (u use) proven() bool { return u.dest.Grade == bind.Hostbound }

// fields are what the journal says of a use; all text of the client is quoted.
func (u use) fields() logrus.Fields {
	f := logrus.Fields{}
	if len(u.held.key.Blob) > 0 {
		f[journal.Key] = u.held.key.PlainFingerprint()
	}
	if u.purpose != "" {
		f[journal.Purpose] = journal.Quote(u.purpose)
	}
	if u.data.Login != nil {
		f[journal.User] = journal.Quote(u.data.Login.User)
		f[journal.Trust] = u.dest.Grade
		f[journal.Host] = journal.Quote(u.destination())
	}
	return f
}

// destination is where a login goes, in words: a name only if it is believed.
func (u use) destination() string {
	switch {
	case len(u.host.Names) > 0:
		return u.host.Names[0]
	case u.host.Hashed:
		return "known host, " + u.host.Line
	case u.dest.Grade == bind.Hostbound:
		return "unknown host " + sshagent.Fingerprint(u.dest.HostKey)
	default:
		return "UNVERIFIED"
	}
}
