package clefguard

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/splitvault/splitvault/pkg/audit"
	"github.com/splitvault/splitvault/pkg/clefapi"
	"github.com/splitvault/splitvault/pkg/clefbackend"
	"github.com/splitvault/splitvault/pkg/clefcall"
	"github.com/splitvault/splitvault/pkg/eth"
	"github.com/splitvault/splitvault/pkg/journal"
	"github.com/splitvault/splitvault/pkg/jsonrpc"
	"github.com/splitvault/splitvault/pkg/rules"
	"github.com/splitvault/splitvault/pkg/strictjson"
)

// carryOut has Clef do what was judged.
func (g *Guard) carryOut(ctx context.Context, log logrus.FieldLogger, from clefcall.Preamble, r jsonrpc.Request, use *clefapi.Use, j judgement) jsonrpc.Reply {
	reply, err := j.backend.Call(ctx, r, clefbackend.Caller{Qube: g.Qube, Origin: string(from.Origin), UserAgent: from.UserAgent})
	if err == nil && reply.Err == nil && use.Method == clefapi.List {
		reply.Result, err = g.filter(from, reply.Result)
	}
	switch {
	case ctx.Err() != nil:
		// Nothing takes back what Clef asks a person now.
		log.Warn("the client is gone while Clef works: a prompt of Clef's stays, and what it signs goes nowhere")
		if prompts(use) {
			g.wait(log)
		}
		return jsonrpc.Reply{Err: g.notReady(nil)}
	case err != nil:
		log.WithField(journal.Err, err).Error("request failed")
		return jsonrpc.Reply{Err: jsonrpc.Errorf(jsonrpc.CodeDisconnected, "signer gave no answer: look at Clef, which may have signed all the same")}
	case reply.Err != nil:
		return g.saidNo(log, reply.Err)
	}
	record(log, use, reply.Result)
	if g.Lost != nil {
		if err := g.Lost(); err != nil {
			log.WithField(journal.Err, err).Error("request failed: what cannot be recorded is not given")
			return jsonrpc.Reply{Err: jsonrpc.Errorf(jsonrpc.CodeDisconnected, "signer not ready: the vault cannot record what it gives")}
		}
	}
	return jsonrpc.Reply{Result: reply.Result}
}

// saidNo passes on an error of Clef's.
func (g *Guard) saidNo(log logrus.FieldLogger, e *jsonrpc.Error) jsonrpc.Reply {
	translated, waits := translate(e)
	log.WithField(journal.Cause, journal.Quote(e.Error())).Warn("Clef refuses")
	if waits {
		g.wait(log)
	}
	return jsonrpc.Reply{Err: translated}
}

// wait has the qube's next request for a signature wait: a person has said no, or a
// prompt was left behind in Clef, of which there should not be more and more.
func (g *Guard) wait(log logrus.FieldLogger) {
	if err := g.Refused.Set(time.Now()); err != nil {
		log.WithField(journal.Err, err).Error("the refusal is not remembered")
	}
}

// prompts tells whether Clef asks a person before it does it, and the next such
// request can be made to wait.
func prompts(use *clefapi.Use) bool {
	return clefapi.PropertiesOf(use.Method).Signs || use.Method == clefapi.New
}

// filter leaves of Clef's accounts those that the rules show.
func (g *Guard) filter(from clefcall.Preamble, untrusted strictjson.Value) (strictjson.Value, error) {
	if untrusted.Kind() != strictjson.Array {
		return strictjson.Value{}, fmt.Errorf("%w: %v, where a list of accounts is wanted", clefbackend.ErrBroken, untrusted.Kind())
	}
	shown := []string{}
	for _, item := range untrusted.Items() {
		account, err := eth.ParseAddress(item.Text())
		if err != nil {
			return strictjson.Value{}, fmt.Errorf("%w: among the accounts: %w", clefbackend.ErrBroken, err)
		}
		q := rules.ClefRequest{Qube: g.Qube, Method: clefapi.List, Origin: string(from.Origin), Account: account}
		if g.Rules.Judge(q).Decision != rules.Deny {
			shown = append(shown, string(account))
		}
	}
	return strictjson.Texts(shown), nil
}

// record says in the journal what was given.
func record(log logrus.FieldLogger, use *clefapi.Use, result strictjson.Value) {
	switch {
	case use.Method == clefapi.List:
		accounts := make([]string, 0, len(result.Items()))
		for _, item := range result.Items() {
			accounts = append(accounts, eth.Address(item.Text()).Checksummed())
		}
		log.WithField(journal.Key, strings.Join(accounts, " ")).WithField(journal.Count, len(accounts)).Info(audit.MessageListed)
	case use.Method == clefapi.New:
		account, err := eth.ParseAddress(result.Text())
		if err != nil {
			log.WithField(journal.Err, err).Warn("what Clef made is no account")
		}
		log.WithField(journal.Key, account.Checksummed()).Info("account made")
	case clefapi.PropertiesOf(use.Method).Signs:
		log.Info("signed")
	default:
		log.Info("answered")
	}
}
