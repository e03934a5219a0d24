package passrelay

import (
	"errors"

	"github.com/sirupsen/logrus"

	"github.com/splitvault/splitvault/pkg/journal"
	"github.com/splitvault/splitvault/pkg/passcall"
	"github.com/splitvault/splitvault/pkg/passproto"
)

// Report logs why a request was answered by a no. There is no notification on the
// screen: the client is told the same words, and its person reads them.
func Report(log logrus.FieldLogger, r passproto.Request, err error) {
	fields := logrus.Fields{journal.Cause: err.Error(), journal.Verdict: "deny"}
	if r.Verb != "" {
		fields[journal.Method] = string(r.Verb)
	}
	if r.Name != "" {
		fields[journal.Entry] = journal.Quote(string(r.Name))
	}
	if r.Field != "" {
		fields[journal.Field] = journal.Quote(string(r.Field))
	}
	if r.Host != "" {
		fields[journal.Host] = journal.Quote(r.Host)
	}
	if f, ok := errors.AsType[*passcall.Failure](err); ok {
		if f.Outcome.Code >= 0 {
			fields[journal.Exit] = f.Outcome.Code
		}
		if f.Outcome.Message != "" {
			fields[journal.Err] = journal.Quote(f.Outcome.Message)
		}
	}
	log.WithFields(fields).Warn("request not served")
}
