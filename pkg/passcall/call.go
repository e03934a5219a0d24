package passcall

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/splitvault/splitvault/pkg/entryname"
	"github.com/splitvault/splitvault/pkg/passproto"
	"github.com/splitvault/splitvault/pkg/qrexec"
	"github.com/splitvault/splitvault/pkg/rundir"
	"github.com/splitvault/splitvault/pkg/secret"
	"github.com/splitvault/splitvault/pkg/slots"
)

const (
	poolName = "pass"
	poolSize = 4 // of the 10 to 25 concurrent calls that Xen bears, for all services

	// endGrace is the time a vault has to end after the end of its output.
	endGrace = 5 * time.Second
	// drainGrace is the time for what the client program wrote before it ended.
	drainGrace = time.Second
)

// Caller places calls.
type Caller struct {
	Pool   *slots.Pool // nil: no bound
	Client string      // the program that places calls
	Target qrexec.Target
	Scope  entryname.Scope // "" for none
	Self   string          // name of this qube, "" if unknown
}

// From reads the environment: the target of the calls, named by the first of the
// variables that is set, SPLITVAULT_PASS_SCOPE and SPLITVAULT_QREXEC_CLIENT. With
// noPool, which says why there is no place for the pool, calls are not bounded.
func From(getenv func(string) string, self string, targets ...string) (c *Caller, noPool, err error) {
	c = &Caller{Client: getenv("SPLITVAULT_QREXEC_CLIENT"), Self: self, Target: qrexec.Default}
	if c.Client == "" {
		c.Client = qrexec.DefaultClient
	}
	for _, variable := range targets {
		if untrusted := getenv(variable); untrusted != "" {
			if c.Target, err = qrexec.ParseTarget(untrusted); err != nil {
				return nil, nil, fmt.Errorf("reading %s: %w", variable, err)
			}
			break
		}
	}
	if untrusted := getenv("SPLITVAULT_PASS_SCOPE"); untrusted != "" {
		if c.Scope, err = entryname.ParseScope(untrusted); err != nil {
			return nil, nil, fmt.Errorf("reading SPLITVAULT_PASS_SCOPE: %w", err)
		}
	}
	dir, noPool := rundir.Make(rundir.Base(getenv), "slots")
	if noPool == nil {
		c.Pool = slots.New(dir, poolName, poolSize)
	}
	return c, noPool, nil
}

// Do serves one request: it waits for a place, places a call, gives it body, and
// appends the answer to out if it is whole. A no is a [*Failure], or an
// [*passproto.Error] where no call was made. There is no deadline but ctx: a person
// may be reading a prompt.
func (c *Caller) Do(ctx context.Context, r passproto.Request, body []byte, out *secret.Buffer) (err error) {
	service, input, err := plan(r, c.Scope)
	if err != nil {
		return err
	}
	if r.Verb == passproto.Insert {
		input = passproto.InsertHeader(len(body))
	}
	if c.Pool != nil {
		slot, err := c.Pool.Acquire(ctx)
		if err != nil {
			return err
		}
		// Only a lock file is closed; the place is free in any case.
		defer func() { _ = slot.Release() }()
	}
	call, err := qrexec.Start(c.Client, c.Target, service)
	if err != nil {
		return c.unplaced(service, err)
	}
	defer call.Out.Close()
	had := out.Len()
	readErr := talk(ctx, call, input, body, out)
	outcome := call.Outcome()
	if readErr == nil && outcome.Code == 0 && !outcome.Stopped && ctx.Err() == nil {
		return nil
	}
	out.Cut(had)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return c.failure(service, outcome, readErr)
}

// talk gives the call its input and takes its output to the end. The call has
// ended when it returns.
func talk(ctx context.Context, call *qrexec.Call, input string, body []byte, out *secret.Buffer) error {
	written, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(written)
		// An error means that the call has ended; its exit code says more.
		if _, err := io.WriteString(call.In, input); err == nil {
			_, _ = call.In.Write(body)
		}
		_ = call.In.Close()
	}()
	finished := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-ctx.Done():
			call.End(0)
		case <-call.Done():
		case <-finished:
			return
		}
		// A child of the client program may have its output still open.
		_ = call.Out.SetReadDeadline(time.Now().Add(drainGrace))
	}()
	err := out.ReadAll(call.Out, out.Len()+passproto.MaxBody)
	close(finished)
	<-watched
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		call.End(0)
	}
	call.End(endGrace)
	<-written
	return err
}
