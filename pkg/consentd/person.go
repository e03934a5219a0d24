package consentd

import (
	"context"
	"errors"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/splitvault/splitvault/pkg/consent"
	"github.com/splitvault/splitvault/pkg/journal"
	"github.com/splitvault/splitvault/pkg/prompt"
	"github.com/splitvault/splitvault/pkg/rundir"
)

// Person is the Asker that shows prompts.
type Person struct {
	Program prompt.Program
	Times   Times
	Getenv  func(string) string
	Session Session
	Log     logrus.FieldLogger
}

var errTime = errors.New("the time to answer is over")

// Ask finds a screen and shows the question there.
func (p *Person) Ask(ctx context.Context, guards consent.Screen, r consent.Request) consent.Reason {
	log := p.Log.WithFields(logrus.Fields{journal.Qube: r.Qube, journal.Service: r.Service})
	screen, err := p.screen(ctx, guards)
	if ctx.Err() != nil {
		return consent.Withdrawn
	}
	if err != nil {
		log.WithField(journal.Err, err).Warn("nowhere to ask")
		return consent.NoDisplay
	}
	env := prompt.Environment{
		Screen: screen, Home: p.Getenv("HOME"), Runtime: rundir.Base(p.Getenv), Bus: p.Getenv("DBUS_SESSION_BUS_ADDRESS"),
	}
	timed, cancel := context.WithTimeoutCause(ctx, p.Times.Answer, errTime)
	defer cancel()
	answer, err := p.Program.Ask(timed, env, prompt.Question{Qube: r.Qube, Lines: r.Lines, Remember: r.Longest()})
	switch {
	case ctx.Err() != nil:
		return consent.Withdrawn
	case timed.Err() != nil:
		return consent.TimedOut
	case err != nil:
		log.WithField(journal.Err, err).Error("prompt failed")
		return failure(err)
	}
	return p.reason(answer)
}

func failure(err error) consent.Reason {
	switch {
	case errors.Is(err, prompt.ErrNotHere):
		return consent.NoPrompter
	case errors.Is(err, prompt.ErrGarbage):
		return consent.Garbage
	default:
		return consent.PrompterFailed
	}
}

func (p *Person) reason(a prompt.Answer) consent.Reason {
	switch a.Choice {
	case prompt.Once, prompt.Lasting:
		if time.Since(a.Shown) < p.Times.Armed {
			return consent.TooQuick
		}
		if a.Choice == prompt.Lasting {
			return consent.Lasting
		}
		return consent.Once
	case prompt.Deny:
		return consent.Denied
	case prompt.Close:
		return consent.Closed
	default:
		return consent.Garbage
	}
}
