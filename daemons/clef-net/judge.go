package main

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"

	"github.com/splitvault/splitvault/pkg/clefbackend"
	"github.com/splitvault/splitvault/pkg/clefcall"
	"github.com/splitvault/splitvault/pkg/clefguard"
	"github.com/splitvault/splitvault/pkg/clefrelay"
	"github.com/splitvault/splitvault/pkg/confine"
	"github.com/splitvault/splitvault/pkg/cooldown"
	"github.com/splitvault/splitvault/pkg/guard"
	"github.com/splitvault/splitvault/pkg/join"
	"github.com/splitvault/splitvault/pkg/journal"
	"github.com/splitvault/splitvault/pkg/jsonrpc"
	"github.com/splitvault/splitvault/pkg/rate"
	"github.com/splitvault/splitvault/pkg/rules"
	"github.com/splitvault/splitvault/pkg/rundir"
)

func peerOf(conn net.Conn) netip.Addr {
	if a, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		return a.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}

// judge judges the requests of one connection, one after the other.
type judge struct {
	call    *guard.Call
	clef    rules.Clef
	backend rules.Backend
	rates   map[string]*rate.Counter
	refused *cooldown.Mark
}

// newJudge opens all files that requests of this peer may need.
func newJudge(call *guard.Call, clef rules.Clef) *judge {
	return &judge{
		call: call, clef: clef,
		backend: clef.Backend.Expand(rundir.Base(os.Getenv), os.Getenv("HOME")),
		rates:   call.Rates(clef.Rated(string(call.Caller.Qube), "")),
		refused: refusals(call),
	}
}

func (j *judge) close() {
	for _, counter := range j.rates {
		counter.Close()
	}
	j.refused.Close()
}

// newRelay returns a relay whose calls are judged here. Its error is why equal
// requests are not joined.
func newRelay(j *judge) (*clefrelay.Relay, error) {
	config := &clefrelay.Config{Base: rundir.Base(os.Getenv)}
	dir, err := rundir.Make(config.Base, "clef")
	if err == nil {
		config.Join = &join.Group{Dir: dir}
	}
	return &clefrelay.Relay{
		Config: config,
		Client: &clefrelay.Client{Who: "peer " + string(j.call.Caller.Qube), UID: -1, Process: func() int { return 0 }},
		Report: newReporter(j.call.Log, config),
		Call: func(ctx context.Context, r jsonrpc.Request, preamble func() clefcall.Preamble) (jsonrpc.Reply, error) {
			return j.answer(ctx, r, preamble()), nil
		},
	}, err
}

// confineSelf takes from the process all but what requests need: the state that is
// shared by name, and Clef's port.
func (j *judge) confineSelf() error {
	reach := confine.Reach{Port: j.backend.Port()}
	for _, name := range []string{"clef", "guards"} {
		dir, err := rundir.Make(rundir.Base(os.Getenv), name)
		if err != nil {
			continue // that it is missing is said where it is needed
		}
		reach.Dirs = append(reach.Dirs, dir)
	}
	gaps, err := confine.Server(reach)
	if err != nil {
		return err
	}
	if len(gaps) > 0 {
		j.call.Log.WithField(journal.Cause, strings.Join(gaps, "; ")).Warn("this kernel confines less than others: the unit's sandbox and its user's rights remain")
	}
	return nil
}

// answer has one request judged, and carried out by a Clef that is connected to only
// once the request may be served.
func (j *judge) answer(ctx context.Context, r jsonrpc.Request, from clefcall.Preamble) jsonrpc.Reply {
	peer := string(j.call.Caller.Qube)
	g := &clefguard.Guard{Qube: peer, Rules: j.clef, Log: j.call.Log, Lost: j.call.Trail.Lost, Rates: j.rates, Refused: j.refused}
	if !j.clef.Serves(peer, r.Method) {
		return g.Answer(ctx, from, r)
	}
	place, err := j.call.Place(ctx, "clef", j.clef.Pending)
	if g.Busy = errors.Is(err, guard.ErrBusy); !g.Busy {
		defer func() { _ = place.Release() }()
	}
	var conn *clefbackend.Conn
	g.Connect = func(ctx context.Context) (clefguard.Backend, error) {
		c, err := clefbackend.Dial(ctx, j.backend.Network, j.backend.Address)
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
	return reply
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
