package passguard

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/splitvault/splitvault/pkg/consent"
	"github.com/splitvault/splitvault/pkg/entryname"
	"github.com/splitvault/splitvault/pkg/gpg"
	"github.com/splitvault/splitvault/pkg/journal"
	"github.com/splitvault/splitvault/pkg/passcode"
	"github.com/splitvault/splitvault/pkg/passstore"
	"github.com/splitvault/splitvault/pkg/rate"
	"github.com/splitvault/splitvault/pkg/rules"
	"github.com/splitvault/splitvault/pkg/secret"
	"github.com/splitvault/splitvault/pkg/turn"
)

const writeTime = 60 * time.Second // for a client that does not read its answer

// Person is asked where the rules say so.
type Person interface {
	Ask(ctx context.Context, r consent.Request) (consent.Answer, error)
}

// Notices are shown where the rules say so.
type Notices interface {
	Notify(n consent.Notice) error
}

// Crypt is how entries are decrypted and encrypted.
type Crypt interface {
	Decrypt(ctx context.Context, file *os.File, unlock bool, out *secret.Buffer) error
	Encrypt(ctx context.Context, recipients []string, plain *secret.Buffer) ([]byte, error)
	Verify(ctx context.Context, data, signature []byte) ([]string, error)
}

// Output is where the answer goes.
type Output interface {
	io.Writer
	SetWriteDeadline(t time.Time) error
}

// Guard serves one call of one qube. The zero Rules deny everything.
type Guard struct {
	Qube  string // dom0's word
	Rules rules.Pass
	Store *passstore.Store // nil: there is none
	Crypt Crypt
	Log   logrus.FieldLogger
	// SigningKeys: one of them must have signed each .gpg-id; none: it counts as it is.
	SigningKeys []string
	// Commit commits a written entry to the store's repository. May be nil.
	Commit func(ctx context.Context, name entryname.Name, message []byte, subject string) error
	// Rates are the counters of the rules that have a rate, by Verdict.ID. One that
	// is missing counts as used up.
	Rates map[string]*rate.Counter
	// Person answers where the rules ask; nil: nobody can be asked.
	Person Person
	// Notices may be nil.
	Notices Notices
	// Turn is taken for what may ask for the passphrase; nil bounds nothing.
	Turn *turn.Turn
	// Lost is not nil if a line of Log that says what was given went nowhere: what
	// cannot be recorded is not given. May be nil.
	Lost func() error
	// Now is the time for one-time codes.
	Now func() time.Time
	// LookTime bounds how long entries are looked into for a host; 0 is 30 s.
	LookTime time.Duration

	Stats Stats
}

// Stats are counted while the guard serves.
type Stats struct{ BytesIn, BytesOut, Count int }

// Failure is a no with its exit code. The cause is the vault's to know.
type Failure struct {
	Code  passcode.Code
	Cause error
}

func (f *Failure) Error() string { return fmt.Sprintf("%v: %v", f.Code, f.Cause) }

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Cause }

func fail(code passcode.Code, cause error) *Failure { return &Failure{code, cause} }

var (
	errNoPerson = errors.New("the rule asks a person, and nobody can be asked: the lines before say why")
	// ErrGone says that the client hung up before it was answered.
	ErrGone = errors.New("the client hung up")
)

// Serve answers one call. Its error is a [*Failure], or ctx's cause; no byte was
// written then, unless writing itself failed. The caller closes in and out.
func (g *Guard) Serve(ctx context.Context, service, untrustedArgument string, in Input, out Output) error {
	// This ends the waiting for a client that sends or reads nothing. Errors mean that
	// they are closed, which shows at the next use.
	defer context.AfterFunc(ctx, func() {
		past := time.Unix(1, 0)
		_, _ = in.SetReadDeadline(past), out.SetWriteDeadline(past)
	})()
	r, err := read(service, untrustedArgument, in)
	defer r.body.Wipe()
	g.Stats.BytesIn = r.body.Len()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var answer secret.Buffer
	defer answer.Wipe()
	if err == nil {
		err = g.answer(ctx, r, &answer)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		g.refuse(r, err)
		return err
	}
	return g.write(ctx, out, answer.Bytes())
}

// refuse logs why a request came to nothing.
func (g *Guard) refuse(r *request, err error) {
	log := g.Log.WithFields(r.fields())
	code := passcode.Internal
	if f, ok := errors.AsType[*Failure](err); ok {
		code, err = f.Code, f.Cause
	}
	switch code {
	case passcode.NotFound, passcode.Refused, passcode.Busy, passcode.BadRequest:
		log.WithFields(logrus.Fields{journal.Verdict: rules.Deny, journal.Cause: err}).Warn("request denied")
	case passcode.Internal:
		log.WithField(journal.Err, err).Error("request failed")
	default:
		log.WithField(journal.Cause, err).Warn("request failed")
	}
}

func (g *Guard) answer(ctx context.Context, r *request, answer *secret.Buffer) error {
	if !g.Rules.Serves(g.Qube) && r.verb != rules.PassList {
		return fail(passcode.NotFound, errors.New("denied: no rule is for this qube"))
	}
	switch r.verb {
	case rules.PassList:
		return g.list(ctx, r, answer)
	case rules.PassFind:
		return g.find(ctx, r, answer)
	case rules.PassInsert, rules.PassGenerate:
		return g.put(ctx, r, answer)
	default:
		return g.get(ctx, r, answer)
	}
}

func (g *Guard) write(ctx context.Context, out Output, answer []byte) error {
	if err := out.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return fail(passcode.Internal, fmt.Errorf("answering: %w", err))
	}
	// After the deadline is set: what ends ctx from here on sets another.
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	n, err := out.Write(answer)
	g.Stats.BytesOut = n
	switch {
	case err != nil && ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return fail(passcode.Internal, fmt.Errorf("answering: %w", err))
	}
	return nil
}

// consent is past a verdict only if the rules allow by themselves, or a person
// does. p says what is asked.
func (g *Guard) consent(ctx context.Context, v *rules.Verdict, p consent.Pass) error {
	switch v.Decision {
	case rules.Allow:
		if g.withinRate(*v) {
			return nil
		}
		v.Decision = rules.Ask
	case rules.Ask:
	default:
		return fail(passcode.NotFound, fmt.Errorf("denied: %s", v.Rule))
	}
	if g.Person == nil {
		return fail(passcode.Refused, errNoPerson)
	}
	p.Qube, p.Remember, p.Named = g.Qube, v.Remember, v.Remember > 0
	answer, err := g.Person.Ask(ctx, p.Request())
	if err != nil {
		return fail(passcode.Refused, fmt.Errorf("asking a person: %w", err))
	}
	if !answer.Allowed() {
		return fail(passcode.Refused, fmt.Errorf("asked a person: %s", answer))
	}
	return nil
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

// given records what the client is about to get; an error means that it must not.
func (g *Guard) given(log logrus.FieldLogger, v rules.Verdict, message string) error {
	log.WithFields(logrus.Fields{journal.Rule: v.Rule, journal.Verdict: v.Decision}).Info(message)
	if g.Lost == nil {
		return nil
	}
	if err := g.Lost(); err != nil {
		return fail(passcode.Internal, fmt.Errorf("what cannot be recorded is not given: %w", err))
	}
	return nil
}

// tell shows what a rule decided, where it says notify.
func (g *Guard) tell(v rules.Verdict, p consent.Pass) {
	if !v.Notify || v.Decision == rules.Ask || g.Notices == nil {
		return
	}
	p.Qube = g.Qube
	if err := g.Notices.Notify(p.Notice(v.Decision == rules.Allow)); err != nil {
		g.Log.WithField(journal.Err, err).Warn("the notification was not sent")
	}
}

// decrypt appends an entry's text to out.
func (g *Guard) decrypt(ctx context.Context, name entryname.Name, unlock bool, out *secret.Buffer) error {
	file, err := g.open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	if unlock {
		release, _, err := g.Turn.Take(ctx)
		if errors.Is(err, turn.ErrTired) {
			// Its questions were cancelled again and again: only what is unlocked is given.
			unlock = false
		} else if err != nil {
			return fail(passcode.Busy, err)
		} else {
			defer release()
		}
	}
	err = g.Crypt.Decrypt(ctx, file, unlock, out)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, gpg.ErrLocked):
		if unlock {
			if strikeErr := g.Turn.Strike(); strikeErr != nil {
				err = errors.Join(err, strikeErr)
			}
		}
		return fail(passcode.Locked, err)
	case errors.Is(err, secret.ErrTooLarge):
		return fail(passcode.TooLarge, err)
	case errors.Is(err, gpg.ErrUnfinished):
		return fail(passcode.Busy, err) // it may well go another time
	default:
		return fail(passcode.Decrypt, err)
	}
}

func (g *Guard) open(name entryname.Name) (*os.File, error) {
	if g.Store == nil {
		return nil, fail(passcode.NotFound, errors.New("there is no password store"))
	}
	file, err := g.Store.Entry(name, gpg.MaxCipher)
	switch {
	case errors.Is(err, passstore.ErrNoEntry):
		return nil, fail(passcode.NotFound, err)
	case errors.Is(err, passstore.ErrTooLarge):
		return nil, fail(passcode.TooLarge, err)
	case err != nil:
		return nil, fail(passcode.Internal, err)
	}
	return file, nil
}
