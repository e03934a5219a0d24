// Package clefguard judges requests for the vault's Clef. A request is read
// strictly, understood, judged by the vault's rules and, where they say so, by the
// person at the vault's screen; only then Clef gets it, in the one spelling of what
// was judged. It knows nothing of qrexec: clef-guard and clef-net carry the bytes.
package clefguard

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/splitvault/splitvault/pkg/clefapi"
	"github.com/splitvault/splitvault/pkg/clefbackend"
	"github.com/splitvault/splitvault/pkg/clefcall"
	"github.com/splitvault/splitvault/pkg/consent"
	"github.com/splitvault/splitvault/pkg/cooldown"
	"github.com/splitvault/splitvault/pkg/journal"
	"github.com/splitvault/splitvault/pkg/jsonrpc"
	"github.com/splitvault/splitvault/pkg/rate"
	"github.com/splitvault/splitvault/pkg/rules"
)

// Backend is a connection to Clef for one request.
type Backend interface {
	Call(ctx context.Context, r jsonrpc.Request, from clefbackend.Caller) (jsonrpc.Reply, error)
	KeepAlive() error
}

// Person is asked where the rules say so.
type Person interface {
	Ask(ctx context.Context, r consent.Request) (consent.Answer, error)
}

// Notices takes what the vault's owner wants to be told of. It waits a moment at most.
type Notices interface {
	Notify(n consent.Notice) error
}

// Guard judges the requests of one qube. The zero Rules deny everything.
type Guard struct {
	Qube  string // dom0's word, or the name of a peer
	Vault string // this machine's name, for what clients are told; may be ""
	Rules rules.Clef
	Log   logrus.FieldLogger
	// Connect gives the connection for one request, or the reason why there is
	// none: an error of packages clefstart and clefbackend. It is called once a
	// request is neither refused nor malformed. nil: there is no Clef.
	Connect func(ctx context.Context) (Backend, error)
	// Busy: too many requests of the qube wait already; this one is refused.
	Busy bool
	// Rates are the counters of the rules that have a rate, by Verdict.ID. One that
	// is missing counts as used up.
	Rates map[string]*rate.Counter
	// Refused remembers when Clef's own prompt last said no, or was left behind by
	// who asked for it; nil remembers nothing.
	Refused *cooldown.Mark
	// Person answers where the rules ask; nil: nobody can be asked.
	Person Person
	// Notices are told of uses by rules with notify; nil: nobody is told.
	Notices Notices
	// Lost is not nil if a line of Log that says what was given went nowhere: what
	// cannot be recorded is not given. May be nil.
	Lost func() error
}

// ErrGone says that the client hung up before its request was answered.
var ErrGone = errors.New("the client hung up")

// Serve answers what one call of qubes.Clefsign brings: the line before a request,
// if there is one, and the request. argument is the call's. The answer is one
// reply, without line feed; there is none if ctx ends, whose cause is the error.
func (g *Guard) Serve(ctx context.Context, argument string, untrusted []byte) ([]byte, error) {
	call := jsonrpc.Call{}
	from, rest, err := clefcall.Split(untrusted)
	switch {
	case len(untrusted) > clefcall.MaxCall:
		call.Err = jsonrpc.Errorf(jsonrpc.CodeInvalid, "request too large: over %d bytes", jsonrpc.MaxBody)
	case err != nil:
		call.Err = jsonrpc.Errorf(jsonrpc.CodeInvalid, "invalid request: %v", err)
	default:
		call = jsonrpc.ParseOne(rest)
	}
	if call.Err == nil && argument != "" && argument != call.Request.Method {
		call.Err = jsonrpc.Errorf(jsonrpc.CodeInvalid, "invalid request: the call is for %.64q, and the request for %s", argument, call.Request.Method)
	}
	var reply jsonrpc.Reply
	if call.Err != nil {
		reply = g.refuse(g.Log, call.Err)
	} else if reply = g.Answer(ctx, from, call.Request); ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return reply.Append(nil, call.Request.ID), nil
}

// Answer answers one request; the reply's id means nothing. The only way to Clef
// is through understand, judge and carryOut.
func (g *Guard) Answer(ctx context.Context, from clefcall.Preamble, r jsonrpc.Request) jsonrpc.Reply {
	log := g.Log.WithField(journal.Method, r.Method)
	if from.Origin != "" {
		log = log.WithField(journal.Origin, journal.Quote(string(from.Origin)))
	}
	use, refusal := understand(r)
	if refusal != nil {
		return g.refuse(log, refusal)
	}
	if use.Account != "" {
		log = log.WithField(journal.Key, use.Account.Checksummed())
	}
	verdict, refusal := g.judge(ctx, log, from, use)
	log = log.WithField(journal.Rule, verdict.verdict.Rule)
	if refusal != nil {
		return g.refuse(log, refusal)
	}
	return g.carryOut(ctx, log.WithField(journal.Verdict, verdict.verdict.Decision), from, r, use, verdict)
}

// understand finds out what a request would do.
func understand(r jsonrpc.Request) (*clefapi.Use, *jsonrpc.Error) {
	if r.ID == clefcall.Marker() {
		return nil, clefcall.ErrLoop()
	}
	use, err := clefapi.Parse(r)
	switch {
	case errors.Is(err, clefapi.ErrUnknown):
		return nil, unknown(r.Method)
	case err != nil:
		return nil, jsonrpc.Errorf(jsonrpc.CodeParams, "invalid params of %s: %v", r.Method, err)
	}
	return use, nil
}

// judgement is the way to Clef, or to no reply but a refusal.
type judgement struct {
	verdict rules.Verdict
	backend Backend
}

// judge applies the rules and asks a person where they say so. Its only success is
// an allow or a yes, with a Clef that answers.
func (g *Guard) judge(ctx context.Context, log logrus.FieldLogger, from clefcall.Preamble, use *clefapi.Use) (judgement, *jsonrpc.Error) {
	question := g.question(from, use)
	j := judgement{verdict: g.Rules.Judge(request(g.Qube, from, use))}
	if use.Method == clefapi.List {
		var accounts []rules.Account
		j.verdict, accounts = g.Rules.JudgeList(g.Qube, string(from.Origin))
		question = g.listQuestion(question, accounts)
	}
	if j.verdict.Decision == rules.Deny {
		g.tell(log, question, j.verdict)
		return j, jsonrpc.Errorf(jsonrpc.CodeUnauthorized, "%s is not allowed for qube %s", use.Method, g.Qube)
	}
	if refusal := g.hold(log, use); refusal != nil {
		return j, refusal
	}
	if j.verdict.Decision == rules.Allow && !g.withinRate(log, j.verdict) {
		j.verdict.Decision = rules.Ask
	}
	var refusal *jsonrpc.Error
	if j.backend, refusal = g.connect(ctx, log); refusal != nil {
		return j, refusal
	}
	if j.verdict.Decision == rules.Ask {
		return j, g.ask(ctx, question, j)
	}
	g.tell(log, question, j.verdict)
	return j, nil
}

// hold refuses what is too much at once, or too soon after a no.
func (g *Guard) hold(log logrus.FieldLogger, use *clefapi.Use) *jsonrpc.Error {
	if g.Busy {
		return denied("another request is pending")
	}
	if !prompts(use) {
		return nil
	}
	left, err := g.Refused.Left(time.Now(), g.Rules.Cooldown)
	if err != nil {
		log.WithField(journal.Err, err).Error("it cannot be told when a request was last refused: it counts as now")
	}
	if left > 0 {
		return denied(fmt.Sprintf("a request was refused a moment ago, or given up with its prompt in Clef open: try again in %d s", int(left.Seconds())+1))
	}
	return nil
}

// withinRate counts one more use by the rule, and tells whether the rule still
// allows it by itself. What cannot be counted is too much.
func (g *Guard) withinRate(log logrus.FieldLogger, v rules.Verdict) bool {
	if v.Rate.Count == 0 {
		return true
	}
	ok, err := g.Rates[v.ID].Allow(time.Now(), v.Rate)
	if err != nil {
		log.WithField(journal.Err, err).Error("a rule's rate cannot be counted: it counts as used up")
	}
	return ok && err == nil
}

func (g *Guard) connect(ctx context.Context, log logrus.FieldLogger) (Backend, *jsonrpc.Error) {
	if g.Connect == nil {
		return nil, g.notReady(nil)
	}
	backend, err := g.Connect(ctx)
	if err != nil {
		log.WithField(journal.Err, err).Error("no Clef")
		return nil, g.notReady(err)
	}
	return backend, nil
}

// request is what the rules are asked.
func request(qube string, from clefcall.Preamble, use *clefapi.Use) rules.ClefRequest {
	r := rules.ClefRequest{
		Qube: qube, Method: use.Method, Origin: string(from.Origin), Account: use.Account, Chain: use.Chain,
		To: use.To, Creates: use.Creates(), Value: use.Value, ContentType: use.ContentType,
	}
	if clefapi.PropertiesOf(use.Method).Call {
		r.Call = use.Call.Names()
	}
	if t := use.Transaction; t != nil {
		r.Fee = t.MaxFee
	}
	if s := use.Safe; s != nil {
		r.Unbound = s.Delegate || s.Refund
	}
	// As typed data the contract is all that is bound, which is the Safe itself:
	// nothing of what is taken out of it.
	if t := use.Typed; t != nil && t.PrimaryType == clefapi.SafeType {
		r.Unbound = true
	}
	return r
}

// refuse logs why a request is refused, and returns the reply.
func (g *Guard) refuse(log logrus.FieldLogger, refusal *jsonrpc.Error) jsonrpc.Reply {
	log.WithField(journal.Verdict, rules.Deny).WithField(journal.Cause, journal.Quote(refusal.Message)).Warn("request denied")
	return jsonrpc.Reply{Err: refusal}
}
