// No search for the control group's limit of processors: one is used.
//
//go:debug containermaxprocs=0

// Command clef-guard judges requests for the vault's Clef. qrexec starts one for
// each call of qubes.Clefsign:
//
//	client qube ─► dom0's policy ─► clef-guard: parse, judge by rules.toml, ask ─► the vault's Clef
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/splitvault/splitvault/pkg/clefcall"
	"github.com/splitvault/splitvault/pkg/clefguard"
	"github.com/splitvault/splitvault/pkg/confine"
	"github.com/splitvault/splitvault/pkg/guard"
	"github.com/splitvault/splitvault/pkg/hangup"
	"github.com/splitvault/splitvault/pkg/journal"
	"github.com/splitvault/splitvault/pkg/stdio"
)

const usage = `usage: clef-guard

Lets a client qube use the Clef of this vault qube, as far as the vault's rules
allow. qrexec starts it: /etc/qubes-rpc/qubes.Clefsign is a link to it. One call
is one request of JSON-RPC.
Rules: ~/.config/splitvault/rules.toml, else /etc/splitvault/rules.toml.
See clef-guard(8) and splitvault-rules(5).
`

const (
	readTime  = 60 * time.Second // for a whole request
	writeTime = 60 * time.Second // for a client that does not read its answer
)

func main() {
	// It serves one request: more processors make threads and wake them, and gain
	// nothing.
	runtime.GOMAXPROCS(1)
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout, stderr *os.File) int {
	if code, done := guard.Options("clef-guard", usage, args, stdout, stderr); done {
		return code
	}
	call, code := guard.Begin("clef-guard", nil, stderr)
	if call == nil {
		return code
	}
	defer call.Close()
	in, out, err := serve(call)
	closed := call.Log.WithFields(logrus.Fields{journal.BytesIn: in, journal.BytesOut: out, journal.DurationMS: call.Took()})
	switch {
	case err == nil:
		closed.Info("call closed")
		return guard.ExitOK
	case errors.Is(err, clefguard.ErrGone):
		closed.WithField(journal.Cause, err).Info("call closed")
		call.Tell("the client hung up")
	default:
		closed.WithField(journal.Err, err).Error("call failed")
		call.Tell("internal error, see the vault's journal")
	}
	return guard.ExitInternal
}

// serve opens all that the guard may need, confines the process, and only then
// reads the first byte of the client.
func serve(call *guard.Call) (bytesIn, bytesOut int, err error) {
	in, out, err := stdio.Open()
	if err != nil {
		return 0, 0, err
	}
	// That the client sends no more means nothing here: it waits for the answer.
	gone, err := hangup.WatchOutput(out)
	if err != nil {
		return 0, 0, err
	}
	defer gone.Close()
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	go func() {
		<-gone.Gone()
		cancel(clefguard.ErrGone)
	}()
	defer context.AfterFunc(ctx, func() { _ = in.SetReadDeadline(time.Unix(1, 0)) })()
	judge, closeAll := prepare(ctx, call)
	defer closeAll()
	if ctx.Err() != nil {
		return 0, 0, context.Cause(ctx)
	}
	landlocked, err := confine.Guard()
	if err != nil {
		return 0, 0, err
	}
	if !landlocked {
		call.Log.Warn("this kernel has no Landlock: only the filter of system calls keeps the guard from files")
	}
	untrusted, err := read(ctx, in)
	if err != nil {
		return len(untrusted), 0, err
	}
	reply, err := judge.Serve(ctx, call.Caller.Argument, untrusted)
	if err != nil {
		return len(untrusted), 0, err
	}
	err = write(ctx, out, append(reply, '\n'))
	return len(untrusted), len(reply) + 1, err
}

// read reads all that the client sends, and a byte more than it may.
func read(ctx context.Context, in *os.File) ([]byte, error) {
	if err := in.SetReadDeadline(time.Now().Add(readTime)); err != nil {
		return nil, fmt.Errorf("reading the request: %w", err)
	}
	if ctx.Err() != nil { // after the deadline is set: what ends ctx from here on sets another
		return nil, context.Cause(ctx)
	}
	untrusted, err := io.ReadAll(io.LimitReader(in, clefcall.MaxCall+1))
	switch {
	case ctx.Err() != nil:
		return untrusted, context.Cause(ctx)
	case err != nil:
		return untrusted, fmt.Errorf("reading the request: %w", err)
	}
	return untrusted, nil
}

func write(ctx context.Context, out *os.File, reply []byte) error {
	if err := out.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return fmt.Errorf("answering: %w", err)
	}
	if _, err := out.Write(reply); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("answering: %w", err)
	}
	return nil
}
