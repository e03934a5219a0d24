package main

import (
	"bytes"
	"context"

	"github.com/splitvault/splitvault/pkg/entryname"
	"github.com/splitvault/splitvault/pkg/passclient"
	"github.com/splitvault/splitvault/pkg/passproto"
	"github.com/splitvault/splitvault/pkg/secret"
)

// vault asks the vault, over a connection that is made with the first question.
type vault struct {
	getenv func(string) string
	client *passclient.Client
}

func (v *vault) close() {
	if v.client != nil {
		v.client.Close()
	}
}

// ask returns the answer, which the caller wipes.
func (v *vault) ask(ctx context.Context, r passproto.Request, body []byte) (*secret.Buffer, error) {
	if v.client == nil {
		var err error
		if v.client, err = passclient.Open(v.getenv); err != nil {
			return nil, err
		}
	}
	out := &secret.Buffer{}
	if err := v.client.Do(ctx, r, body, out); err != nil {
		out.Wipe()
		return nil, err
	}
	return out, nil
}

// names returns the names in a scope that this qube may have. Those that nobody can
// ask for, as they are not one line of text, come apart.
func (v *vault) names(ctx context.Context, scope entryname.Scope) (names, odd []string, err error) {
	answer, err := v.ask(ctx, passproto.Request{Verb: passproto.List, Scope: scope}, nil)
	if err != nil {
		return nil, nil, err
	}
	defer answer.Wipe()
	all, err := passclient.Names(answer.Bytes())
	if err != nil {
		return nil, nil, err
	}
	for _, untrusted := range all {
		if _, err := entryname.Parse(untrusted); err != nil {
			odd = append(odd, untrusted)
		} else {
			names = append(names, untrusted)
		}
	}
	return names, odd, nil
}

// field returns the value of a field, without the line feed that follows it.
func (v *vault) field(ctx context.Context, name entryname.Name, field entryname.Field) (*secret.Buffer, error) {
	value, err := v.ask(ctx, passproto.Request{Verb: passproto.Field, Name: name, Field: field}, nil)
	if err != nil {
		return nil, err
	}
	value.Cut(len(bytes.TrimSuffix(value.Bytes(), []byte("\n"))))
	return value, nil
}

// find returns the entries for a host.
func (v *vault) find(ctx context.Context, host string) ([]passclient.Found, error) {
	checked, err := passproto.ParseHost(host)
	if err != nil {
		return nil, err
	}
	answer, err := v.ask(ctx, passproto.Request{Verb: passproto.Find, Host: checked}, nil)
	if err != nil {
		return nil, err
	}
	defer answer.Wipe()
	return passclient.ParseFound(answer.Bytes())
}
