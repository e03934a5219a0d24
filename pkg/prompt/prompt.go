package prompt

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/splitvault/splitvault/pkg/consent"
)

// Choice is how a prompt ended.
type Choice int

// The choices. The zero value is no answer.
const (
	None    Choice = iota
	Deny           // the Deny button
	Close          // the window was closed, or Escape pressed
	Once           // "Allow once"
	Lasting        // "Allow for …"
)

var (
	// ErrNotHere says that this program cannot ask on this screen, or is not
	// installed; another may.
	ErrNotHere = errors.New("cannot ask here")
	// ErrGarbage says that the program gave an answer that is none.
	ErrGarbage = errors.New("an answer that is none")
	// ErrFailed says that the program ended as no answer ends it.
	ErrFailed = errors.New("the program failed")
)

// Question is what a prompt shows.
type Question struct {
	Qube     string         // for the window's title
	Lines    []consent.Line // the first one is the question
	Remember time.Duration  // 0: no lasting answer is offered
}

// Program asks. It returns when the person has chosen or ctx has ended; its window is
// gone then.
type Program interface {
	Ask(ctx context.Context, env Environment, q Question) (Answer, error)
}

// Answer is a choice, and since when the question could be read: the time at which
// the program's window was seen. A Wayland compositor tells nobody of another's
// window, and a terminal has none: there it is the program's start.
type Answer struct {
	Choice Choice
	Shown  time.Time
}

// First returns a Program that is the first of several which can ask.
func First(programs ...Program) Program { return first(programs) }

type first []Program

// Ask asks by the first program that can.
func (f first) Ask(ctx context.Context, env Environment, q Question) (Answer, error) {
	var errs []error
	for _, p := range f {
		a, err := p.Ask(ctx, env, q)
		if !errors.Is(err, ErrNotHere) || ctx.Err() != nil {
			return a, err
		}
		errs = append(errs, err)
	}
	return Answer{}, errors.Join(errs...)
}

func (q Question) title() string { return "splitvault: " + consent.Printable(q.Qube, 64) + " asks" }

// text is the body of the dialog: the question, its facts, what a yes gives.
func (q Question) text() string {
	var b strings.Builder
	for i, l := range q.Lines {
		text := l.Text // checked when it came to consentd; here for other callers
		if !printable(text) {
			text = consent.Printable(text, consent.MaxText)
		}
		if l.Claimed {
			text = `"` + text + `" (so says the qube)`
		}
		if l.Label != "" {
			text = l.Label + ": " + text
		}
		b.WriteString(consent.Wrap(text))
		if i == 0 {
			b.WriteByte('\n')
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "\n%q allows this one use.", onceLabel)
	if q.Remember > 0 {
		fmt.Fprintf(&b, "\n%q also allows the same to this qube for that time, unasked.", q.lastingLabel())
	}
	return b.String()
}

func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

const (
	denyLabel = "Deny"
	onceLabel = "Allow once"
)

func (q Question) lastingLabel() string { return "Allow for " + Duration(q.Remember) }

// Duration says a time as people do: "5 minutes", "8 hours", "90 seconds".
func Duration(d time.Duration) string {
	for _, unit := range []struct {
		d    time.Duration
		name string
	}{{time.Hour, "hour"}, {time.Minute, "minute"}} {
		switch {
		case d == unit.d:
			return "1 " + unit.name
		case d > unit.d && d%unit.d == 0:
			return fmt.Sprintf("%d %ss", d/unit.d, unit.name)
		}
	}
	return fmt.Sprintf("%d seconds", int(d.Seconds()))
}
