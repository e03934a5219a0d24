package main

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"

	"github.com/splitvault/splitvault/pkg/clefbackend"
	"github.com/splitvault/splitvault/pkg/clefcall"
	"github.com/splitvault/splitvault/pkg/clefguard"
	"github.com/splitvault/splitvault/pkg/clefrelay"
	"github.com/splitvault/splitvault/pkg/cooldown"
	"github.com/splitvault/splitvault/pkg/guard"
	"github.com/splitvault/splitvault/pkg/join"
	"github.com/splitvault/splitvault/pkg/journal"
	"github.com/splitvault/splitvault/pkg/jsonrpc"
	"github.com/splitvault/splitvault/pkg/rules"
	"github.com/splitvault/splitvault/pkg/rundir"
)

func peerOf(conn net.Conn) netip.Addr {
	if a, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		return a.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}

// newRelay returns a relay whose calls are judged here. Its error is why equal
// requests are not joined.
func newRelay(call *guard.Call, clef rules.Clef) (*clefrelay.Relay, error) {
	config := &clefrelay.Config{Base: rundir.Base(os.Getenv)}
	dir, err := rundir.Make(config.Base, "clef")
	if err == nil {
		config.Join = &join.Group{Dir: dir}
	}
	return &clefrelay.Relay{
		Config: config,
		Client: &clefrelay.Client{Who: "peer " + string(call.Caller.Qube), UID: -1, Process: func() int { return 0 }},
		Report: newReporter(call.Log, config),
		Call: func(ctx context.Context, r jsonrpc.Request, preamble func() clefcall.Preamble) (jsonrpc.Reply, error) {
			return judge(ctx, call, clef, r, preamble())
		},
	}, err
}

// judge has one request judged, and carried out by a Clef that is connected to only
// once the request may be served.
func judge(ctx context.Context, call *guard.Call, clef rules.Clef, r jsonrpc.Request, from clefcall.Preamble) (jsonrpc.Reply, error) {
	peer := string(call.Caller.Qube)
	g := &clefguard.Guard{Qube: peer, Rules: clef, Log: call.Log, Lost: call.Trail.Lost}
	if !clef.Serves(peer, r.Method) {
		return g.Answer(ctx, from, r), nil
	}
	place, err := call.Place(ctx, "clef", clef.Pending)
	if g.Busy = errors.Is(err, guard.ErrBusy); !g.Busy {
		defer func() { _ = place.Release() }()
	}
	g.Rates = call.Rates(clef.Rated(peer, r.Method))
	defer func() {
		for _, counter := range g.Rates {
			counter.Close()
		}
	}()
	g.Refused = refusals(call)
	defer g.Refused.Close()
	backend := clef.Backend.Expand(rundir.Base(os.Getenv), os.Getenv("HOME"))
	var conn *clefbackend.Conn
	g.Connect = func(ctx context.Context) (clefguard.Backend, error) {
		c, err := clefbackend.Dial(ctx, backend.Network, backend.Address)
		if err != nil {
			return nil, err
		}
		conn = c
		return c, nil
	}
	reply := g.Answer(ctx, from, r)
	if conn != nil {
		conn.Close()
	}
	return reply, nil
}

// refusals opens the mark of what was refused to a peer in Clef itself.
func refusals(call *guard.Call) *cooldown.Mark {
	dir, err := rundir.Make(rundir.Base(os.Getenv), "refused")
	if err != nil {
		call.Log.WithField(journal.Err, err).Warn("no state directory: refusals are not remembered")
		return nil
	}
	mark, err := cooldown.Open(dir, "clef+"+string(call.Caller.Qube))
	if err != nil {
		call.Log.WithField(journal.Err, err).Warn("refusals are not remembered")
		return nil
	}
	return mark
}
