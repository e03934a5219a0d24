package clefrelay

import (
	"context"
	"strings"
	"sync"

	"github.com/splitvault/splitvault/pkg/clefcall"
	"github.com/splitvault/splitvault/pkg/join"
	"github.com/splitvault/splitvault/pkg/journal"
	"github.com/splitvault/splitvault/pkg/jsonrpc"
	"github.com/splitvault/splitvault/pkg/origin"
	"github.com/splitvault/splitvault/pkg/peer"
)

// Client is who is served on one connection.
type Client struct {
	// Who names it: equal requests of others are not joined with its own.
	Who string
	UID int64 // -1 if unknown
	// Process returns the number of its process, 0 if unknown. It is asked once,
	// and only when something is sent to the vault.
	Process func() int

	once sync.Once
	exe  string
}

// Exe is the path of the client's program, fit for a prompt.
func (c *Client) Exe() string {
	c.once.Do(func() { c.exe = clefcall.Clean(peer.Exe(c.Process()), clefcall.MaxExe) })
	return c.exe
}

// Relay answers the requests of one client.
type Relay struct {
	Config *Config
	Client *Client
	Report *Reporter
	// Call places one call. [Dialer.Call] does.
	Call func(ctx context.Context, r jsonrpc.Request, preamble func() clefcall.Preamble) (jsonrpc.Reply, error)
}

// Sender is what one request says of who sends it.
type Sender struct {
	Origin    origin.Origin // "" for a native client
	UserAgent string        // untrusted
}

// Answer answers what a client sent, a request or a batch, and tells whether it was
// any. client ends when the client has gone; ctx ends all at once.
func (r *Relay) Answer(ctx, client context.Context, from Sender, untrusted []byte) (reply []byte, ok bool) {
	body := jsonrpc.Parse(untrusted)
	if !body.Batch {
		c := body.Calls[0]
		ok = c.Err == nil || c.Err.Code != jsonrpc.CodeParse && c.Err.Code != jsonrpc.CodeInvalid
		return r.one(ctx, client, from, c).Append(nil, c.Request.ID), ok
	}
	reply = []byte{'['}
	for i, c := range body.Calls {
		if i > 0 {
			reply = append(reply, ',')
		}
		reply = r.one(ctx, client, from, c).Append(reply, c.Request.ID)
	}
	return append(reply, ']'), true
}

func (r *Relay) one(ctx, client context.Context, from Sender, c jsonrpc.Call) jsonrpc.Reply {
	r.Report.Requests.Add(1)
	if err := refuse(c); err != nil {
		return jsonrpc.Reply{Err: err}
	}
	if client.Err() != nil { // the rest of a batch is not asked for its own sake
		return gone()
	}
	preamble := func() clefcall.Preamble {
		return clefcall.Preamble{
			Origin: from.Origin, UserAgent: clefcall.Clean(from.UserAgent, clefcall.MaxUserAgent),
			UID: r.Client.UID, Exe: r.Client.Exe(),
		}
	}
	// Two new accounts are two.
	if r.Config.Join == nil || c.Request.Method == "account_new" {
		return r.ask(client, c.Request, preamble)
	}
	var target string
	if d := r.Config.Dialer; d != nil { // a drop-in may have one of the sockets ask another vault
		target = string(d.Target)
	}
	key := join.Key([]byte(r.Client.Who), []byte(from.Origin), []byte(target), []byte(c.Request.Method), c.Request.AppendParams(nil))
	text, err := r.Config.Join.Do(ctx, client, key, func(ctx context.Context) []byte {
		return r.ask(ctx, c.Request, preamble).Append(nil, jsonrpc.ID{})
	})
	switch {
	case client.Err() != nil:
		return gone()
	case err != nil: // nothing was asked yet
		r.Report.Log.WithField(journal.Err, err).Error("equal requests are not joined")
		return r.ask(client, c.Request, preamble)
	}
	reply, err := jsonrpc.ParseReply(text)
	if err != nil {
		return jsonrpc.Reply{Err: r.Report.Failed(err)}
	}
	return reply
}

// gone is an answer that nobody reads.
func gone() jsonrpc.Reply {
	return jsonrpc.Reply{Err: jsonrpc.Errorf(jsonrpc.CodeDisconnected, "the client is gone")}
}

// ask has the vault answer.
func (r *Relay) ask(ctx context.Context, request jsonrpc.Request, preamble func() clefcall.Preamble) jsonrpc.Reply {
	r.Report.Calls.Add(1)
	reply, err := r.Call(ctx, request, preamble)
	switch {
	case ctx.Err() != nil:
		return gone()
	case err != nil:
		return jsonrpc.Reply{Err: r.Report.Failed(err)}
	}
	return settled(reply)
}

// settled is the vault's answer with another code where clients try again by
// themselves after the one it has (viem utils/buildRequest.ts, foundry's retry
// layer): each time a person is asked anew.
func settled(reply jsonrpc.Reply) jsonrpc.Reply {
	if reply.Err == nil {
		return reply
	}
	switch reply.Err.Code {
	case -1, 429, -32005, -32007, -32603:
		e := *reply.Err
		e.Code = jsonrpc.CodeServer
		reply.Err = &e
	}
	return reply
}

// refuse answers what is no request, and what no signer does.
func refuse(c jsonrpc.Call) *jsonrpc.Error {
	method := c.Request.Method
	switch {
	case c.Request.ID == clefcall.Marker():
		return clefcall.ErrLoop()
	case c.Err != nil:
		return c.Err
	case strings.HasPrefix(method, "account_") || method == "rpc_modules":
		return nil
	}
	for _, other := range []string{"eth_", "net_", "web3_", "wallet_", "personal_", "debug_", "admin_", "txpool_"} {
		if strings.HasPrefix(method, other) {
			return jsonrpc.Errorf(jsonrpc.CodeUnsupported, "%s is a method of a node or wallet: this is a signer, with account_list, account_signTransaction and others", method)
		}
	}
	return jsonrpc.Errorf(jsonrpc.CodeNoMethod, "the method %s does not exist/is not available", method)
}
