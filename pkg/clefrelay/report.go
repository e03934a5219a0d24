package clefrelay

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/splitvault/splitvault/pkg/httpedge"
	"github.com/splitvault/splitvault/pkg/journal"
	"github.com/splitvault/splitvault/pkg/jsonrpc"
	"github.com/splitvault/splitvault/pkg/notify"
	"github.com/splitvault/splitvault/pkg/origin"
	"github.com/splitvault/splitvault/pkg/qrexec"
	"github.com/splitvault/splitvault/pkg/rundir"
)

// notifyEvery is how often a person is told of the same cause or page.
const notifyEvery = 10 * time.Minute

// maxLogged bounds the refusals of one connection that are logged one by one.
const maxLogged = 20

// Reporter says in words why a request failed: in the journal each time, on the
// screen once per cause in ten minutes. It serves one connection.
type Reporter struct {
	Log    logrus.FieldLogger
	Config *Config
	// Notify shows a notification; nil shows none.
	Notify func(summary, body string) error
	// LetPage says what to write where, so that pages of an origin are served.
	LetPage func(o origin.Origin) string

	Requests, Calls atomic.Int64
	refused         atomic.Int64
}

// Refused reports a request that the HTTP edge refused.
func (r *Reporter) Refused(refusal *httpedge.Refusal) {
	if r.refused.Add(1) > maxLogged {
		return
	}
	log := r.Log.WithFields(logrus.Fields{journal.Cause: refusal.Text, journal.Verdict: "deny"})
	if refusal.Origin == "" {
		log.Warn("request refused")
		return
	}
	line := fmt.Sprintf("a web page of %s may not talk to the signer", journal.Quote(refusal.Origin))
	if o, err := origin.Parse(refusal.Origin); err == nil {
		line += "; to let it, " + r.LetPage(o)
	}
	log.WithFields(logrus.Fields{journal.Origin: journal.Quote(refusal.Origin), journal.Cause: line}).Warn("request refused")
	// A page has as many origins as it wants: so many notifications at most.
	const subjects = 64
	sum := sha256.Sum256([]byte(refusal.Origin))
	r.tell(fmt.Sprintf("origin-%d", sum[0]%subjects), "clef: a web page was refused", line)
}

// InClientFile is a [Reporter.LetPage] for client qubes.
func InClientFile(o origin.Origin) string {
	return fmt.Sprintf("write in ~/.config/splitvault/client.toml: [clef] and below it: origins = [%q]", string(o))
}

// Failed reports why a request was not answered by the vault, and returns what its
// client is told: in a form that no client takes for a reason to try again.
func (r *Reporter) Failed(err error) *jsonrpc.Error {
	cause, text, answer := r.explain(err)
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
	r.tell(cause, "clef: the vault did not answer", text)
	return answer
}

const profileText = "what the vault sent is no answer of a signer: a profile file in the vault prints text " +
	"(~/.profile, /etc/profile.d), or the service is not splitvault's"

// explain returns a word that is the same for equal causes, what a person should
// know and do, and the answer to the client. No byte of the vault's is in any.
func (r *Reporter) explain(err error) (cause, text string, answer *jsonrpc.Error) {
	call, ok := errors.AsType[*CallError](err)
	switch {
	case !ok:
		cause = "error"
		if errors.Is(err, qrexec.ErrNoClient) {
			cause = "no-client"
		}
		text = err.Error()
	case call.Reply != nil && !cutShort(call.Outcome):
		cause, text = "garbage", profileText
	default:
		cause = call.Outcome.Cause()
		text = call.Outcome.Explain(r.Config.Self, r.Config.Dialer.Target, call.Service)
		if cause == "refused" {
			return cause, text, jsonrpc.Errorf(jsonrpc.CodeUserDenied, "User denied: Qubes policy refused %s to %s", call.Service, r.vault())
		}
	}
	return cause, text, jsonrpc.Errorf(jsonrpc.CodeDisconnected, "signer unreachable: %s", text)
}

// cutShort tells whether a call ended so that a part of an answer is all that could
// come: the channel broke, or one of the two programs was killed.
func cutShort(o qrexec.Outcome) bool {
	switch o.Cause() {
	case "broken", "client-killed":
		return true
	}
	return o.Code > 128 // as a shell's: 128 and the signal
}

func (r *Reporter) vault() string {
	if r.Config.Dialer.Target == qrexec.Default {
		return "the vault"
	}
	return string(r.Config.Dialer.Target)
}

func (r *Reporter) tell(subject, summary, body string) {
	if r.Notify == nil {
		return
	}
	dir, err := rundir.Make(r.Config.Base, "notified")
	if err == nil {
		var due bool
		if due, err = notify.Once(dir, "clef-"+subject, notifyEvery); due {
			err = r.Notify(summary, body)
		}
	}
	if err != nil {
		r.Log.WithField(journal.Err, err).Debug("no notification")
	}
}
