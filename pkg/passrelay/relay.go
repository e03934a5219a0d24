// Package passrelay serves one client in a client qube, which speaks the line
// protocol of passproto: it answers HELLO and PING by itself, and has every other
// request served by a call to the vault, one after the other, in order.
//
// It keeps nothing: no list, no secret, no rule. Whatever goes wrong is an ERR to
// the client with the next step in it, and a line in the journal.
package passrelay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/splitvault/splitvault/pkg/passcode"
	"github.com/splitvault/splitvault/pkg/passproto"
	"github.com/splitvault/splitvault/pkg/secret"
	"github.com/splitvault/splitvault/pkg/version"
)

const (
	// clientTime bounds the wait for a client's next line, for the rest of what it
	// announced, and for its taking the answer.
	clientTime = 30 * time.Second
)

// Relay serves one client. All fields but Stats must be set.
type Relay struct {
	Client net.Conn
	// Gone is closed when the client has closed its connection (not when it
	// only stopped sending).
	Gone <-chan struct{}
	// Do has the vault serve a request, and appends its answer to out.
	Do func(ctx context.Context, r passproto.Request, body []byte, out *secret.Buffer) error
	// Failed is told why a request, the zero one if it was none, was answered by a no.
	Failed func(r passproto.Request, err error)

	Stats Stats
}

// Stats are counted while the relay serves.
type Stats struct {
	Requests, Failed  int
	BytesIn, BytesOut int
}

// Serve serves the client until it has gone, has said all or nothing for a while,
// or ctx has ended, and closes its connection. Errors are the client's fault.
func (r *Relay) Serve(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-r.Gone:
			cancel()
		case <-ctx.Done():
		}
		// A client that is gone, or a relay that is stopped, waits for no line.
		_ = r.Client.SetReadDeadline(time.Unix(1, 0))
	}()
	defer func() {
		cancel()
		<-watched
		_ = r.Client.Close()
	}()
	reader := passproto.NewReader(r.Client)
	defer reader.Close()
	for {
		more, err := r.next(ctx, reader)
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // the client went away, which is no fault
		case err != nil:
			return err
		case !more:
			return nil
		}
	}
}

// errIdle says that the client has kept the relay waiting.
var errIdle = errors.New("the client said nothing for 30 seconds")

// next serves one request; false means that it was the last.
func (r *Relay) next(ctx context.Context, reader *passproto.Reader) (bool, error) {
	if err := r.await(ctx); err != nil {
		return false, err
	}
	untrusted, err := reader.Line(passproto.MaxLine)
	switch {
	case errors.Is(err, io.EOF):
		return false, nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return false, errIdle
	case errors.Is(err, passproto.ErrLineTooLong):
		return false, errors.Join(err, r.refuse(passproto.Request{}, bad(err)))
	case err != nil:
		return false, fmt.Errorf("reading from the client: %w", err)
	}
	r.Stats.BytesIn += len(untrusted) + 1
	request, err := passproto.ParseRequest(untrusted)
	if err != nil {
		// What follows an INSERT that is none is no request, but may look like one.
		last := strings.HasPrefix(untrusted, string(passproto.Insert))
		return !last, r.refuse(passproto.Request{}, bad(err))
	}
	var body, out secret.Buffer
	defer body.Wipe()
	defer out.Wipe()
	if err := reader.Body(&body, request.Size); err != nil {
		return false, fmt.Errorf("reading from the client: %w", err)
	}
	r.Stats.BytesIn += request.Size
	if err := r.serve(ctx, request, body.Bytes(), &out); err != nil {
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		return true, r.refuse(request, err)
	}
	return true, r.answer(passproto.OKLine(out.Len()), out.Bytes())
}

func (r *Relay) await(ctx context.Context) error {
	if err := r.Client.SetReadDeadline(time.Now().Add(clientTime)); err != nil {
		return fmt.Errorf("waiting for the client: %w", err)
	}
	// Set after the watcher's own, it would undo that.
	return ctx.Err()
}

func (r *Relay) serve(ctx context.Context, request passproto.Request, body []byte, out *secret.Buffer) error {
	switch request.Verb {
	case passproto.Hello:
		_, err := io.WriteString(out, "splitvault "+version.String()+"\n")
		return err
	case passproto.Ping:
		return nil
	default:
		return r.Do(ctx, request, body, out)
	}
}

func bad(err error) error {
	return &passproto.Error{Code: passcode.BadRequest, Text: err.Error()}
}

// refuse answers a no.
func (r *Relay) refuse(request passproto.Request, err error) error {
	r.Stats.Failed++
	r.Failed(request, err)
	no, ok := errors.AsType[*passproto.Error](err)
	if !ok {
		no = &passproto.Error{Code: passcode.Internal, Text: err.Error()}
	}
	return r.answer(passproto.ErrLine(no), nil)
}

func (r *Relay) answer(line string, body []byte) error {
	r.Stats.Requests++
	r.Stats.BytesOut += len(line) + len(body)
	if err := r.Client.SetWriteDeadline(time.Now().Add(clientTime)); err != nil {
		return fmt.Errorf("answering the client: %w", err)
	}
	if _, err := io.WriteString(r.Client, line); err != nil {
		return fmt.Errorf("answering the client: %w", err)
	}
	if _, err := r.Client.Write(body); err != nil {
		return fmt.Errorf("answering the client: %w", err)
	}
	return nil
}
