package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/splitvault/splitvault/pkg/entryname"
	"github.com/splitvault/splitvault/pkg/qrexec"
	"github.com/splitvault/splitvault/pkg/rules"
)

// passRequest checks what was typed.
func (f *explainFlags) passRequest(qube string) (rules.PassRequest, error) {
	name, err := qrexec.ParseQubeName(qube)
	if err != nil {
		return rules.PassRequest{}, err
	}
	r := rules.PassRequest{Qube: string(name), Verb: rules.PassVerb(f.verb)}
	if f.entry == "" {
		return r, errors.New("--entry is missing: which entry?")
	}
	if r.Entry, err = entryname.Parse(f.entry); err != nil {
		return r, fmt.Errorf("--entry: %w", err)
	}
	if f.field != "" {
		if r.Field, err = entryname.FieldOf(f.field); err != nil {
			return r, fmt.Errorf("--field: %w", err)
		}
	}
	switch {
	case r.Field == entryname.OTP && (r.Verb == "" || r.Verb == rules.PassField):
		r.Verb, r.Field = rules.PassOTP, ""
	case r.Verb == "" && r.Field != "":
		r.Verb = rules.PassField
	case r.Verb == "":
		r.Verb = rules.PassShow
	case r.Verb == rules.PassField && r.Field == "":
		r.Field = entryname.Password
	case !slices.Contains(rules.PassVerbs(), r.Verb):
		return r, fmt.Errorf("--verb: %q is no verb: list, find, field, otp, show, insert, generate or replace", f.verb)
	}
	if r.Field != "" && r.Verb != rules.PassField {
		return r, errors.New("--field is for --verb field")
	}
	return r, nil
}

func (f *explainFlags) explainPass(w io.Writer, qube string) error {
	r, err := f.passRequest(qube)
	if err != nil {
		return err
	}
	e := explanation{
		Qube: r.Qube, Service: "pass", Entry: string(r.Entry), Verb: string(r.Verb), Field: string(r.Field), Decision: rules.Deny.String(),
	}
	file, err := rules.LoadPassOrDefault(rules.Paths(os.Getenv)...)
	switch {
	case err != nil:
		e.Reason, e.Problems = "the rules have a mistake, so everything is denied", issues(rules.Problems(err))
	default:
		verdict, steps := file.Pass.Explain(r)
		e.decide(file.Path, verdict, steps)
		if file.Path == "" {
			e.Reason = "there is no rules file: pass is denied"
		}
		if r.Verb == rules.PassList && verdict.Decision != rules.Deny && !file.Pass.Readable(r.Qube, r.Entry) {
			e.Decision, e.Notes = rules.Deny.String(), append(e.Notes, "the qube may read nothing of the entry, so its name is not listed either")
		}
	}
	return e.print(w, f.asJSON, err)
}

// passSubject is the request in words.
func (e *explanation) passSubject() string {
	if e.Field != "" {
		return fmt.Sprintf("%s %q of %q", e.Verb, e.Field, e.Entry)
	}
	return fmt.Sprintf("%s %q", e.Verb, e.Entry)
}
