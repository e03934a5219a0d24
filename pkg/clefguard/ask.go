package clefguard

import (
	"context"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/splitvault/splitvault/pkg/clefbackend"
	"github.com/splitvault/splitvault/pkg/consent"
	"github.com/splitvault/splitvault/pkg/journal"
	"github.com/splitvault/splitvault/pkg/jsonrpc"
	"github.com/splitvault/splitvault/pkg/rules"
)

// ask asks the person at the vault's screen. nil is a yes. When the client hangs
// up ctx ends, and with it the prompt.
func (g *Guard) ask(ctx context.Context, question *consent.Clef, j judgement) *jsonrpc.Error {
	if g.Person == nil {
		return denied("nobody can be asked in the vault")
	}
	question.Remember = j.verdict.Remember
	question.Named = j.verdict.Remember > 0 // the rules have judged that
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- keepAlive(ctx, j.backend) }()
	answer, err := g.Person.Ask(ctx, question.Request())
	cancel()
	lost := <-ended
	switch {
	case err != nil:
		return denied("nobody could be asked in the vault")
	case !answer.Allowed():
		return denied(answer.String())
	case lost != nil: // what was allowed cannot be done
		return g.notReady(lost)
	}
	return nil
}

// keepAlive keeps the connection to Clef until ctx ends.
func keepAlive(ctx context.Context, backend Backend) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(clefbackend.Idle):
		}
		if err := backend.KeepAlive(); err != nil {
			return err
		}
	}
}

// tell tells the vault's owner of a use that a rule with notify has decided. It is
// a courtesy: without anybody to tell it to the use goes on.
func (g *Guard) tell(log logrus.FieldLogger, question *consent.Clef, v rules.Verdict) {
	if !v.Notify || g.Notices == nil {
		return
	}
	if err := g.Notices.Notify(question.Notice(v.Decision != rules.Deny)); err != nil {
		log.WithField(journal.Err, err).Warn("nobody could be told of this use")
	}
}
