package clefrelay

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/splitvault/splitvault/pkg/clefcall"
	"github.com/splitvault/splitvault/pkg/jsonrpc"
	"github.com/splitvault/splitvault/pkg/qrexec"
	"github.com/splitvault/splitvault/pkg/slots"
)

const (
	// endGrace is the time a call has to end after its answer, or the end of its output.
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

	ending sync.WaitGroup // calls that have been answered
}

// Wait waits for calls that have been answered to end, which takes a second and a half
// at most.
func (d *Dialer) Wait() { d.ending.Wait() }

// Call waits for a place in the pool, places one call and returns the vault's
// answer as soon as it is whole; the call then ends by itself, and keeps its place as
// long. Call has no deadline: a person may be reading a prompt in dom0 or in the
// vault. preamble is asked for while dom0 decides.
func (d *Dialer) Call(ctx context.Context, r jsonrpc.Request, preamble func() clefcall.Preamble) (jsonrpc.Reply, error) {
	service, err := qrexec.ParseService(serviceName + "+" + r.Method)
	if err != nil {
		return jsonrpc.Reply{}, err
	}
	var slot *slots.Slot
	if d.Pool != nil {
		if slot, err = d.Pool.Acquire(ctx); err != nil {
			return jsonrpc.Reply{}, err
		}
	}
	call, err := qrexec.Start(d.Client, d.Target, service)
	if err != nil {
		// Only a lock file is closed; the place is free in any case.
		_ = slot.Release()
		return jsonrpc.Reply{}, err
	}
	stop := context.AfterFunc(ctx, func() { call.End(0) })
	written := make(chan struct{})
	go func() {
		defer close(written)
		text := r.Append(preamble().Append(nil), jsonrpc.TextID(callID))
		// An error means that the call has ended; the end of its output says more.
		_, _ = call.In.Write(text)
		_ = call.In.Close()
	}()
	end := func() {
		call.End(endGrace)
		stop()
		<-written
		_ = call.Out.Close()
		_ = slot.Release()
	}
	got := receive(call)
	if got.answered && stop() { // whose ctx ends now has its answer
		d.ending.Go(end)
		return got.reply, nil
	}
	end()
	if ctx.Err() != nil {
		return jsonrpc.Reply{}, ctx.Err()
	}
	return got.judge(call.Outcome(), service)
}

// received is what came back: a whole answer, or all that was sent instead.
type received struct {
	answered  bool
	reply     jsonrpc.Reply
	untrusted []byte
	err       error
}

// judge looks for an answer in what a call sent up to its end.
func (got received) judge(outcome qrexec.Outcome, service qrexec.Service) (jsonrpc.Reply, error) {
	err := got.err
	if err == nil && len(got.untrusted) > 0 {
		var reply jsonrpc.Reply
		if reply, err = parseReply(got.untrusted); err == nil {
			return reply, nil
		}
	}
	return jsonrpc.Reply{}, &CallError{Outcome: outcome, Service: service, Reply: err}
}

// receive reads what the vault sends, up to a whole answer, its end, or that of the
// client program: a child of that may have the output open still.
func receive(call *qrexec.Call) received {
	done := make(chan received, 1)
	go func() { done <- read(call.Out) }()
	select {
	case got := <-done:
		return got
	case <-call.Done():
	}
	select {
	case got := <-done:
		return got
	case <-time.After(drainGrace):
		call.Out.Close()
		return received{err: (<-done).err}
	}
}

// read takes the first line for the answer if it is one, as it is of our guards
// (package clefcall): nothing else belongs to a call, so its end is not waited for.
// The answer of another service may have no line feed, or several.
func read(out io.Reader) received {
	reader := bufio.NewReader(io.LimitReader(out, jsonrpc.MaxReply+2))
	untrusted, err := reader.ReadBytes('\n')
	if errors.Is(err, io.EOF) {
		return received{untrusted: untrusted}
	}
	if err != nil {
		return received{err: err}
	}
	if reply, err := parseReply(untrusted); err == nil {
		return received{answered: true, reply: reply}
	}
	rest, err := io.ReadAll(reader)
	return received{untrusted: append(untrusted, rest...), err: err}
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
