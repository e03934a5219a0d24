package sshrelay

import (
	"errors"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/splitvault/splitvault/pkg/journal"
	"github.com/splitvault/splitvault/pkg/notify"
	"github.com/splitvault/splitvault/pkg/qrexec"
	"github.com/splitvault/splitvault/pkg/rundir"
	"github.com/splitvault/splitvault/pkg/sshagent"
)

// notifyEvery is how often a person is told of the same cause.
const notifyEvery = 10 * time.Minute

// Reporter says in words why a request failed: in the journal each time, on the
// screen once per cause in ten minutes. It serves one connection.
type Reporter struct {
	Log    logrus.FieldLogger
	Config *Config
	// Notify shows a notification; nil shows none.
	Notify func(summary, body string) error
	// Base is $XDG_RUNTIME_DIR.
	Base string

	refused map[sshagent.MessageType]bool
}

// Refused reports a message that the relay refused by itself, the first of its
// type.
func (r *Reporter) Refused(untrusted sshagent.Frame) {
	if r.refused[untrusted.Type()] {
		return
	}
	if r.refused == nil {
		r.refused = make(map[sshagent.MessageType]bool)
	}
	r.refused[untrusted.Type()] = true
	r.Log.WithFields(logrus.Fields{
		journal.Method: untrusted.Type(), journal.Verdict: "deny",
		journal.Cause: "this agent lists keys and signs with them, nothing else; keys are added and removed in the vault",
	}).Warn("request refused")
}

// Failed reports one failure.
func (r *Reporter) Failed(err error) {
	cause, text := r.explain(err)
	log := r.Log.WithFields(logrus.Fields{journal.Cause: text, journal.Verdict: "deny"})
	if call, ok := errors.AsType[*CallError](err); ok {
		if call.Outcome.Code >= 0 {
			log = log.WithField(journal.Exit, call.Outcome.Code)
		}
		if call.Outcome.Message != "" {
			log = log.WithField(journal.Err, journal.Quote(call.Outcome.Message))
		}
	}
	log.Warn("request not served")
	if err := r.tell(cause, text); err != nil {
		r.Log.WithField(journal.Err, err).Debug("no notification")
	}
}

// explain returns a word that is the same for equal causes, and what a person
// should know and do. No byte of the vault's is in either.
func (r *Reporter) explain(err error) (cause, text string) {
	call, ok := errors.AsType[*CallError](err)
	switch {
	case errors.Is(err, qrexec.ErrNoClient):
		return "no-client", err.Error()
	case !ok:
		return "error", err.Error()
	case call.Reply != nil && call.First:
		return "garbage", "what the vault sent is no answer of an agent: a profile file in the vault prints text " +
			"(~/.profile, /etc/profile.d), or the service is not splitvault's"
	case call.Reply != nil:
		return "garbage", "what the vault sent is no answer of an agent, after some that were: the call is given up"
	default:
		return call.Outcome.Cause(), call.Outcome.Explain(r.Config.Self, r.Config.Dialer.Target, r.Config.Dialer.Service)
	}
}

func (r *Reporter) tell(cause, text string) error {
	if r.Notify == nil {
		return nil
	}
	dir, err := rundir.Make(r.Base, "notified")
	if err != nil {
		return err
	}
	if due, err := notify.Once(dir, "ssh-"+cause, notifyEvery); !due || err != nil {
		return err
	}
	return r.Notify("ssh: the vault did not answer", text)
}
