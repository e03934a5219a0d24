package clefrelay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/splitvault/splitvault/pkg/clefcall"
	"github.com/splitvault/splitvault/pkg/jsonrpc"
	"github.com/splitvault/splitvault/pkg/qrexec"
	"github.com/splitvault/splitvault/pkg/slots"
)

const (
	// endGrace is the time a call has to end after the end of its output.
	endGrace = 500 * time.Millisecond
	// drainGrace is the time for what the client program wrote before it ended.
	drainGrace = time.Second
)

// callID is the id of what crosses: the client's own goes back to it from here.
const callID = "relay"

// CallError is a call that ended without the answer that was due.
type CallError struct {
	Outcome qrexec.Outcome
	Service qrexec.Service
	Reply   error // what was wrong with the reply, nil if there was none
}

func (e *CallError) Error() string {
	if e.Reply != nil {
		return fmt.Sprintf("the vault's answer is none: %v", e.Reply)
	}
	return "the call to the vault ended: " + e.Outcome.Cause()
}

func (e *CallError) Unwrap() error { return e.Reply }

// Dialer places calls.
type Dialer struct {
	Pool   *slots.Pool // nil: no bound
	Client string      // the program that places calls
	Target qrexec.Target
}

// Call waits for a place in the pool, places one call and returns the vault's
// answer. It has no deadline: a person may be reading a prompt in dom0 or in the
// vault. preamble is asked for while dom0 decides.
func (d *Dialer) Call(ctx context.Context, r jsonrpc.Request, preamble func() clefcall.Preamble) (jsonrpc.Reply, error) {
	service, err := qrexec.ParseService(serviceName + "+" + r.Method)
	if err != nil {
		return jsonrpc.Reply{}, err
	}
	if d.Pool != nil {
		slot, err := d.Pool.Acquire(ctx)
		if err != nil {
			return jsonrpc.Reply{}, err
		}
		// Only a lock file is closed; the place is free in any case.
		defer func() { _ = slot.Release() }()
	}
	call, err := qrexec.Start(d.Client, d.Target, service)
	if err != nil {
		return jsonrpc.Reply{}, err
	}
	defer call.Out.Close()
	stop := context.AfterFunc(ctx, func() { call.End(0) })
	written := make(chan struct{})
	go func() {
		defer close(written)
		text := r.Append(preamble().Append(nil), jsonrpc.TextID(callID))
		// An error means that the call has ended; the end of its output says more.
		_, _ = call.In.Write(text)
		_ = call.In.Close()
	}()
	untrusted, err := receive(call)
	call.End(endGrace)
	stop()
	<-written
	if ctx.Err() != nil {
		return jsonrpc.Reply{}, ctx.Err()
	}
	if err != nil || len(untrusted) == 0 {
		return jsonrpc.Reply{}, &CallError{Outcome: call.Outcome(), Service: service, Reply: err}
	}
	reply, err := parseReply(untrusted)
	if err != nil {
		return jsonrpc.Reply{}, &CallError{Outcome: call.Outcome(), Service: service, Reply: err}
	}
	return reply, nil
}

// receive reads all that the vault sends, up to its end or that of the client
// program: a child of that may have the output open still.
func receive(call *qrexec.Call) ([]byte, error) {
	type result struct {
		untrusted []byte
		err       error
	}
	done := make(chan result, 1)
	go func() {
		// A line feed follows the reply.
		b, err := io.ReadAll(io.LimitReader(call.Out, jsonrpc.MaxReply+2))
		done <- result{b, err}
	}()
	select {
	case r := <-done:
		return r.untrusted, r.err
	case <-call.Done():
	}
	select {
	case r := <-done:
		return r.untrusted, r.err
	case <-time.After(drainGrace):
		call.Out.Close()
		return nil, (<-done).err
	}
}

var errOtherID = errors.New("it answers another request")

func parseReply(untrusted []byte) (jsonrpc.Reply, error) {
	reply, err := jsonrpc.ParseReply(untrusted)
	if err != nil {
		return jsonrpc.Reply{}, err
	}
	// Who cannot read a request answers it with the id null.
	if id := reply.ID.String(); id != jsonrpc.TextID(callID).String() && (reply.Err == nil || id != "null") {
		return jsonrpc.Reply{}, errOtherID
	}
	return reply, nil
}
