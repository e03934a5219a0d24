package sshguard

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/splitvault/splitvault/pkg/consent"
	"github.com/splitvault/splitvault/pkg/journal"
	"github.com/splitvault/splitvault/pkg/knownhosts"
	"github.com/splitvault/splitvault/pkg/rate"
	"github.com/splitvault/splitvault/pkg/rules"
	"github.com/splitvault/splitvault/pkg/sshagent"
	"github.com/splitvault/splitvault/pkg/sshagent/bind"
)

const (
	maxProtocolErrors = 3                      // then the call ends
	writeTime         = 60 * time.Second       // for a client that does not read its answer
	endGrace          = 700 * time.Millisecond // for what was asked before the input ended
	quiet             = time.Second            // after an answer, before a call that lacks something ends
)

// Agent is a real agent of the vault.
type Agent interface {
	List(ctx context.Context, binds *bind.List) ([]sshagent.Identity, error)
	// Sign signs. Unless proven, keys that are bound to destinations stay out of it.
	Sign(ctx context.Context, binds *bind.List, proven bool, request sshagent.Frame) (sshagent.Frame, error)
	// Reusable tells whether another client's requests may follow.
	Reusable() bool
	// Broken tells that no further answer is to be had.
	Broken() bool
}

// Person is asked where the rules say so.
type Person interface {
	Ask(ctx context.Context, r consent.Request) (consent.Answer, error)
	// Broken tells that no further question can be asked.
	Broken() bool
}

// Notices takes what the vault's owner wants to be told of. It waits a moment at most.
type Notices interface {
	Notify(n consent.Notice) error
}

// Writer is where answers go.
type Writer interface {
	io.Writer
	SetWriteDeadline(t time.Time) error
}

// Guard serves one call of one qube. The zero Rules deny everything.
type Guard struct {
	Qube   string          // dom0's word
	Agent  rules.AgentName // what the client asked for
	Rules  rules.SSH
	Agents []Agent // none: a request that needs one fails, and the call ends when it is quiet
	Log    logrus.FieldLogger
	// KnownHosts are the vault's own; nil knows nobody. Candidates are names that
	// its hashed entries may stand for.
	KnownHosts *knownhosts.DB
	Candidates []string
	// Rates are the counters of the rules that have a rate, by Verdict.ID. One that
	// is missing counts as used up.
	Rates map[string]*rate.Counter
	// Person answers where the rules ask; nil: nobody can be asked, and the call ends
	// when it is quiet after a question, as the next one may reach somebody.
	Person Person
	// Notices are told of uses by rules with notify; nil: nobody is told.
	Notices Notices
	// Stale tells whether the rules have changed since they were read; the call
	// ends then, and the next one has the new ones. May be nil.
	Stale func() bool
	// AgentEnded is closed when one of Agents has ended: a call in which nothing is
	// outstanding ends then, and the next one finds the agent's successor. May be nil.
	AgentEnded <-chan struct{}
	// PersonEnded is closed when what asks Person, or shows Notices, has ended: a call
	// that is quiet ends then, as a confined guard cannot connect to another. May be nil.
	PersonEnded <-chan struct{}
	// Lost is not nil if a line of Log that says what was given went nowhere: what
	// cannot be recorded is not given. May be nil.
	Lost func() error

	Stats Stats

	binds    bind.List
	throttle throttle
	shown    string // what the last list said
	badHosts bool   // that lines of KnownHosts cannot be read was said
	lacks    error  // why another call may serve more, nil if none would
	answered time.Time
}

// Stats are counted while the guard serves.
type Stats struct {
	Answers           int // replies written, of whatever kind
	Signed            int
	Unlogged          int // refusals beyond what the journal takes of one call
	BytesIn, BytesOut int
}

var (
	// ErrBadRequest says that the client did not speak the protocol.
	ErrBadRequest = errors.New("bad request")
	// ErrGone says that the client hung up before its requests were answered.
	ErrGone = errors.New("the client hung up")
	// ErrStale says that the call ended because the rules have changed.
	ErrStale = errors.New("the rules have changed: the next call goes by the new ones")
	// ErrAgent says that an agent failed. The call ends: the next one connects
	// to the agents anew, which a confined guard cannot do.
	ErrAgent = errors.New("there is no agent, or one failed or has ended")
	// ErrPerson says the same of what asks a person.
	ErrPerson = errors.New("nobody can be asked, or what asks a person failed or has ended")
)

// Serve answers messages until the client's end or ctx's, whose cause it then
// returns. An end of input before the first four bytes, or between messages, is a
// good end. What was complete when the input ended is still answered, but only
// for a moment: clients of an agent never stop sending and go on waiting, so it
// means that they are gone. The caller closes in and out.
func (g *Guard) Serve(ctx context.Context, in sshagent.Source, out Writer) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// The agents have ctx; this ends the waiting for a client that does not read.
	// An error means that out is closed, which the next write finds out.
	defer context.AfterFunc(ctx, func() { _ = out.SetWriteDeadline(time.Unix(1, 0)) })()
	reader := sshagent.NewReader(in, sshagent.MaxRequest, sshagent.FrameTime)
	incoming := make(chan message, readAhead)
	go receive(ctx, cancel, reader, incoming)
	wrong := 0
	for {
		m, err := g.next(ctx, incoming)
		if err != nil {
			return err
		}
		if m.err != nil {
			return g.endOfInput(reader, m.err)
		}
		if g.Stale != nil && g.Stale() {
			return ErrStale
		}
		class := sshagent.Classify(m.frame)
		reply := g.answer(ctx, class, m.frame)
		if err := g.write(ctx, out, m.frame, reply); err != nil {
			return err
		}
		switch {
		case class == sshagent.Reset && reply.Type() == sshagent.TypeSuccess:
			wrong = 0 // they were another client's
		case class == sshagent.ProtocolError:
			if wrong++; wrong == maxProtocolErrors {
				return fmt.Errorf("%w: too many messages that no client sends", ErrBadRequest)
			}
		}
		if g.broken() {
			return ErrAgent
		}
		g.miss(class)
	}
}

// write sends one reply.
func (g *Guard) write(ctx context.Context, out Writer, request, reply sshagent.Frame) error {
	if err := out.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return fmt.Errorf("answering: %w", err)
	}
	// After the deadline is set: what ends ctx from here on sets another.
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if _, err := out.Write(reply.Bytes()); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("answering: %w", err)
	}
	g.Stats.Answers++
	g.Stats.BytesIn += len(request.Bytes())
	g.Stats.BytesOut += len(reply.Bytes())
	return nil
}

// answer returns the reply to one message. What is not named here is refused.
func (g *Guard) answer(ctx context.Context, class sshagent.Class, frame sshagent.Frame) sshagent.Frame {
	switch class {
	case sshagent.List:
		return g.list(ctx)
	case sshagent.Sign:
		return g.sign(ctx, frame)
	case sshagent.Bind:
		return g.binds.Add(frame)
	case sshagent.Query:
		return sshagent.QueryReply(sshagent.ExtensionBind, sshagent.ExtensionReset)
	case sshagent.Reset:
		return g.reset()
	default:
		return g.refuse(g.Log.WithField(journal.Method, frame.Type()), "message is not allowed: "+class.String())
	}
}

// refuse logs why a request is denied, and returns the failure to answer with.
func (g *Guard) refuse(log logrus.FieldLogger, cause any) sshagent.Frame {
	if g.mayLog() {
		log.WithField(journal.Verdict, rules.Deny).WithField(journal.Cause, cause).Warn("request denied")
	}
	return sshagent.Failure()
}

// fail logs why a request that was allowed came to nothing.
func (g *Guard) fail(log logrus.FieldLogger, err error) sshagent.Frame {
	if g.mayLog() {
		log.WithField(journal.Err, err).Error("request failed")
	}
	return sshagent.Failure()
}

// reset makes the connection as new for another client of the same qube.
func (g *Guard) reset() sshagent.Frame {
	for _, a := range g.Agents {
		if !a.Reusable() {
			return sshagent.ExtensionFailure()
		}
	}
	g.binds.Reset()
	g.shown = "" // the next one is told of anew
	return sshagent.Success()
}

func (g *Guard) broken() bool {
	for _, a := range g.Agents {
		if a.Broken() {
			return true
		}
	}
	return false
}

// miss notes what this call lacks and another may have. It can still serve what needs
// nothing of that, so it ends only when its client has been quiet for a while: a client
// that was refused one key tries the next at once, and a call for each is a prompt in
// dom0 for each.
func (g *Guard) miss(last sshagent.Class) {
	g.answered = time.Now()
	wanted := last == sshagent.List || last == sshagent.Sign
	switch {
	case wanted && len(g.Agents) == 0 && g.Rules.Serves(g.Qube, string(g.Agent)):
		g.lacks = ErrAgent
	case g.Person != nil && g.Person.Broken():
		g.lacks = ErrPerson
	}
}
