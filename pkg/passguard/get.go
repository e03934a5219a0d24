package passguard

import (
	"context"
	"errors"

	"github.com/sirupsen/logrus"

	"github.com/splitvault/splitvault/pkg/consent"
	"github.com/splitvault/splitvault/pkg/entryname"
	"github.com/splitvault/splitvault/pkg/journal"
	"github.com/splitvault/splitvault/pkg/passcode"
	"github.com/splitvault/splitvault/pkg/passentry"
	"github.com/splitvault/splitvault/pkg/rules"
	"github.com/splitvault/splitvault/pkg/secret"
)

// get answers show, field and otp.
func (g *Guard) get(ctx context.Context, r *request, answer *secret.Buffer) error {
	verdict := g.Rules.Judge(rules.PassRequest{Qube: g.Qube, Entry: r.name, Verb: r.verb, Field: r.field})
	said := consent.Pass{Verb: string(r.verb), Entry: string(r.name), Field: string(r.field), Unlock: verdict.Unlock}
	log := g.Log.WithFields(r.fields())
	if verdict.Decision == rules.Deny {
		g.tell(verdict, said)
		return fail(passcode.NotFound, errors.New("denied: "+verdict.Rule))
	}
	// Nobody is asked about what is not there.
	file, err := g.open(r.name)
	if err != nil {
		return err
	}
	file.Close()
	if err := g.consent(ctx, &verdict, said); err != nil {
		return err
	}
	var text secret.Buffer
	defer text.Wipe()
	if err := g.decrypt(ctx, r.name, verdict.Unlock, &text); err != nil {
		return err
	}
	if err := g.cut(r, text.Bytes(), answer); err != nil {
		return err
	}
	if err := g.given(log, verdict, "entry given"); err != nil {
		return err
	}
	g.Stats.Count++
	g.tell(verdict, said)
	return nil
}

// cut appends what was asked for of an entry's text.
func (g *Guard) cut(r *request, text []byte, answer *secret.Buffer) error {
	part := text
	switch r.verb {
	case rules.PassOTP:
		code, err := passentry.OTP(text, g.Now())
		if err != nil {
			return fail(passcode.NoField, err)
		}
		part = []byte(code)
	case rules.PassField:
		value, err := passentry.Field(text, r.field)
		if err != nil {
			return fail(passcode.NoField, err)
		}
		part = value
	}
	if _, err := answer.Write(part); err != nil {
		return fail(passcode.Internal, err)
	}
	if r.verb == rules.PassShow {
		return nil // byte by byte as it is
	}
	if _, err := answer.Write([]byte("\n")); err != nil {
		return fail(passcode.Internal, err)
	}
	return nil
}

// fields are what the journal says of a request; all text of the client is quoted.
func (r *request) fields() logrus.Fields {
	f := logrus.Fields{journal.Method: r.verb}
	if r.name != "" {
		f[journal.Entry] = journal.Quote(string(r.name))
	} else if r.scope != "" {
		f[journal.Entry] = journal.Quote(string(r.scope))
	}
	switch {
	case r.verb == rules.PassOTP:
		f[journal.Field] = journal.Quote(string(entryname.OTP))
	case r.field != "":
		f[journal.Field] = journal.Quote(string(r.field))
	}
	if r.host != "" {
		f[journal.Host] = journal.Quote(string(r.host))
	}
	return f
}
