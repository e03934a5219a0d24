package passclient

import (
	"bytes"
	"context"
	"errors"
	"strings"

	"github.com/splitvault/splitvault/pkg/entryname"
	"github.com/splitvault/splitvault/pkg/passproto"
	"github.com/splitvault/splitvault/pkg/secret"
)

// errList says that a list from the vault makes no sense.
var errList = errors.New("the vault's answer is no whole list")

// Ask returns the answer to a request, which the caller wipes.
func (c *Client) Ask(ctx context.Context, r passproto.Request, body []byte) (*secret.Buffer, error) {
	out := &secret.Buffer{}
	if err := c.Do(ctx, r, body, out); err != nil {
		out.Wipe()
		return nil, err
	}
	return out, nil
}

// Names returns the names in a scope that this qube may have, in order. Those that
// nobody can ask for, as they are not one line of plain text, come apart.
func (c *Client) Names(ctx context.Context, scope entryname.Scope) (names, odd []string, err error) {
	answer, err := c.Ask(ctx, passproto.Request{Verb: passproto.List, Scope: scope}, nil)
	if err != nil {
		return nil, nil, err
	}
	defer answer.Wipe()
	for line := range strings.Lines(string(answer.Bytes())) {
		name, whole := strings.CutSuffix(line, "\n")
		if !whole {
			return nil, nil, errList
		}
		if _, err := entryname.Parse(name); err != nil {
			odd = append(odd, name)
		} else {
			names = append(names, name)
		}
	}
	return names, odd, nil
}

// Field returns the value of a field, without the line feed that follows it.
func (c *Client) Field(ctx context.Context, name entryname.Name, field entryname.Field) (*secret.Buffer, error) {
	value, err := c.Ask(ctx, passproto.Request{Verb: passproto.Field, Name: name, Field: field}, nil)
	if err != nil {
		return nil, err
	}
	value.Cut(len(bytes.TrimSuffix(value.Bytes(), []byte("\n"))))
	return value, nil
}

// Found is an entry for a host.
type Found struct {
	Name  entryname.Name
	Login string // "" if it has none
}

// Find returns the entries for a host.
func (c *Client) Find(ctx context.Context, host string) ([]Found, error) {
	checked, err := passproto.ParseHost(host)
	if err != nil {
		return nil, err
	}
	answer, err := c.Ask(ctx, passproto.Request{Verb: passproto.Find, Host: checked}, nil)
	if err != nil {
		return nil, err
	}
	defer answer.Wipe()
	return parseFound(string(answer.Bytes()))
}

// parseFound reads lines of name, tab and login.
func parseFound(untrusted string) ([]Found, error) {
	var all []Found
	for line := range strings.Lines(untrusted) {
		name, login, found := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		parsed, err := entryname.Parse(name)
		if err != nil || !found || !strings.HasSuffix(line, "\n") {
			return nil, errList
		}
		all = append(all, Found{Name: parsed, Login: login})
	}
	return all, nil
}
