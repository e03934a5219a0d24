package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/splitvault/splitvault/pkg/clefapi"
	"github.com/splitvault/splitvault/pkg/eth"
	"github.com/splitvault/splitvault/pkg/origin"
	"github.com/splitvault/splitvault/pkg/qrexec"
	"github.com/splitvault/splitvault/pkg/rules"
)

// clefFlags say which use of Clef is to be explained.
type clefFlags struct {
	method, account, to, value, call, origin, contentType string
	chain                                                 int64
}

// clefRequest checks what was typed.
func (f *clefFlags) clefRequest(qube string) (rules.ClefRequest, error) {
	name, err := qrexec.ParseQubeName(qube)
	if err != nil {
		return rules.ClefRequest{}, err
	}
	r := rules.ClefRequest{Qube: string(name), Method: f.method, Chain: f.chain, ContentType: f.contentType}
	if !clefapi.Known(f.method) {
		return r, fmt.Errorf("--method: Clef has no %q: %s", f.method, strings.Join(clefapi.Methods(), ", "))
	}
	if err := f.fits(clefapi.PropertiesOf(f.method)); err != nil {
		return r, err
	}
	if f.origin != "" {
		page, err := origin.Parse(f.origin)
		if err != nil {
			return r, fmt.Errorf("--origin: %w", err)
		}
		r.Origin = string(page)
	}
	if f.account != "" {
		if r.Account, err = eth.ParseAddress(f.account); err != nil {
			return r, fmt.Errorf("--account: %w", err)
		}
	}
	if r.Creates = f.to == "create"; f.to != "" && !r.Creates {
		if r.To, err = eth.ParseAddress(f.to); err != nil {
			return r, fmt.Errorf("--to: %w", err)
		}
	}
	return r, f.amounts(&r)
}

// amounts fills in what transactions have, which is nothing where nothing was typed.
func (f *clefFlags) amounts(r *rules.ClefRequest) error {
	has := clefapi.PropertiesOf(f.method)
	if has.ContentType {
		if r.ContentType == "" {
			r.ContentType = clefapi.ContentTypes()[0]
		}
		if !slices.Contains(clefapi.ContentTypes(), r.ContentType) {
			return fmt.Errorf("--content-type: %q is none that Clef knows: %s", r.ContentType, strings.Join(clefapi.ContentTypes(), ", "))
		}
	}
	if !has.Value {
		return nil
	}
	value := f.value
	if value == "" {
		value = "0 wei"
	}
	var err error
	if r.Value, err = eth.ParseAmount(value); err != nil {
		return fmt.Errorf("--value: %w", err)
	}
	r.Call = []string{clefapi.None}
	if f.call == "" {
		return nil
	}
	var call rules.CallName
	if err := call.UnmarshalText([]byte(f.call)); err != nil {
		return fmt.Errorf("--call: %w", err)
	}
	r.Call = clefapi.CallNames(call.String())
	return nil
}

// fits refuses what requests of the method do not have.
func (f *clefFlags) fits(has clefapi.Has) error {
	for _, flag := range []struct {
		name  string
		given bool
		has   bool
	}{
		{"account", f.account != "", has.Account},
		{"chain", f.chain != 0, has.Chain},
		{"to", f.to != "", has.To},
		{"value", f.value != "", has.Value},
		{"call", f.call != "", has.Call},
		{"content-type", f.contentType != "", has.ContentType},
	} {
		if flag.given && !flag.has {
			return fmt.Errorf("--%s: %s has no such thing", flag.name, f.method)
		}
	}
	if f.chain < 0 {
		return errors.New("--chain: chains are numbers from 1")
	}
	return nil
}

func (f *explainFlags) explainClef(w io.Writer, qube string) error {
	r, err := f.clef.clefRequest(qube)
	if err != nil {
		return err
	}
	e := explanation{Qube: r.Qube, Service: "clef", Request: describe(r), Decision: rules.Deny.String()}
	file, err := rules.LoadClefOrDefault(rules.Paths(os.Getenv)...)
	if err != nil {
		e.Reason, e.Problems = "the rules have a mistake, so everything is denied", issues(rules.Problems(err))
		return e.print(w, f.asJSON, err)
	}
	verdict, steps := file.Clef.Explain(r)
	e.decide(file.Path, verdict, steps)
	e.noteClef(r)
	return e.print(w, f.asJSON, nil)
}

// noteClef says what was left open.
func (e *explanation) noteClef(r rules.ClefRequest) {
	for _, open := range []struct {
		key, flag string
		left      bool
	}{
		{"accounts", "--account", r.Account == ""}, {"chains", "--chain", r.Chain == 0}, {"to", "--to", r.To == "" && !r.Creates}, {"origins", "--origin", r.Origin == ""},
	} {
		if open.left && slices.ContainsFunc(e.Before, func(s explainStep) bool { return s.Missed == open.key }) {
			e.Notes = append(e.Notes, fmt.Sprintf("no %s was given, so rules for certain %s do not match", open.flag, open.key))
		}
	}
}

// describe is the request in words.
func describe(r rules.ClefRequest) string {
	s := r.Method
	add := func(text, value string) {
		if value != "" {
			s += " " + text + " " + value
		}
	}
	add("with", r.Account.Checksummed())
	add("of", r.Value.String())
	if add("to", r.To.Checksummed()); r.Creates {
		s += " to create a contract"
	}
	if r.Chain != 0 {
		add("on chain", fmt.Sprint(r.Chain))
	}
	if len(r.Call) > 0 && r.Call[0] != clefapi.None {
		add("calling", r.Call[len(r.Call)-1])
	}
	add("as", r.ContentType)
	add("for", r.Origin)
	return s
}
