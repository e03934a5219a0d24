package sshrelay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/splitvault/splitvault/pkg/sshagent"
)

const (
	maxProtocolErrors = 3                     // then the client is dropped
	clientWriteTime   = 30 * time.Second      // for a client that does not read its answer
	contentionCheck   = 25 * time.Millisecond // how soon an idle call looks whether others wait,
	contentionMax     = time.Second / 4       // and how rarely, after a while
)

// Line is one call to the vault.
type Line interface {
	// Exchange sends a message and returns the reply to it. When last is
	// closed no message follows, and the vault is told so: it cancels a prompt
	// then, as no client of an agent waits for an answer after that.
	Exchange(ctx context.Context, f sshagent.Frame, last <-chan struct{}) (sshagent.Frame, error)
	// Dead is closed when the call has ended by itself.
	Dead() <-chan struct{}
	// Close ends the call and frees its place.
	Close()
}

// Relay serves one client. All fields but Stats must be set.
type Relay struct {
	Client net.Conn
	// Gone is closed when the client has closed its connection (not when it
	// only stopped sending).
	Gone <-chan struct{}
	// Dial waits for a free place and places a call.
	Dial func(ctx context.Context) (Line, error)
	// Contended tells whether others wait for a place.
	Contended func() bool
	// Idle is how long a call without outstanding request is held; 0 holds it
	// until others wait.
	Idle time.Duration
	// Refused is told which message the relay refused by itself.
	Refused func(sshagent.Frame)
	// Failed is told why a request was answered by a failure of the relay's own
	// making.
	Failed func(error)
	// Keep is given the call when the client has left it in good order, and closes
	// it some time; it is called last of all. nil: calls end with their clients.
	Keep func(Line)

	Stats Stats
}

// Stats are counted while the relay serves.
type Stats struct {
	Requests, Refused, Calls int
	BytesIn, BytesOut        int
}

// errDropped says that the client was dropped for its protocol errors.
var errDropped = errors.New("dropping the client: too many messages that no client sends")

// Serve serves the client until it has gone or ctx has ended, and closes its
// connection; nothing of it runs on when it returns. Errors are the client's
// fault or the connection's; what goes wrong behind the relay is told to Failed.
func (r *Relay) Serve(ctx context.Context) error {
	stopped := ctx.Err
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-r.Gone:
			cancel()
		case <-ctx.Done():
		}
	}()
	requests := make(chan received)
	var reader sync.WaitGroup
	reader.Go(func() { r.receive(ctx, requests) })
	s := &session{relay: r}
	defer func() {
		kept := s.keepable(stopped() != nil)
		cancel()
		hangUp(r.Client)
		reader.Wait()
		if kept != nil {
			r.Keep(kept)
		}
		s.drop()
	}()
	wrong := 0
	for {
		req, err := s.await(ctx, requests)
		if err != nil {
			return nil //nolint:nilerr // the client went away, which is no fault
		}
		if req.err != nil {
			return endOf(req.err)
		}
		reply, err := s.serve(ctx, req.frame, requests)
		if err != nil {
			return nil //nolint:nilerr // as above
		}
		if err := r.answer(req.frame, reply); err != nil {
			return err
		}
		if sshagent.Classify(req.frame) == sshagent.ProtocolError {
			if wrong++; wrong == maxProtocolErrors {
				return errDropped
			}
		}
	}
}

type received struct {
	frame sshagent.Frame
	err   error
}

// receive reads the client's messages until the first error, which it passes on
// as the last.
func (r *Relay) receive(ctx context.Context, to chan<- received) {
	reader := sshagent.NewReader(r.Client, sshagent.MaxRequest, sshagent.FrameTime)
	for {
		frame, err := reader.Next()
		select {
		case to <- received{frame, err}:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

func (r *Relay) answer(request, reply sshagent.Frame) error {
	r.Stats.Requests++
	r.Stats.BytesIn += len(request.Bytes())
	r.Stats.BytesOut += len(reply.Bytes())
	if err := r.Client.SetWriteDeadline(time.Now().Add(clientWriteTime)); err != nil {
		return fmt.Errorf("answering the client: %w", err)
	}
	if _, err := r.Client.Write(reply.Bytes()); err != nil {
		return fmt.Errorf("answering the client: %w", err)
	}
	return nil
}

// hangUp ends the client's connection: it sees the end before the call is ended,
// which takes a moment, and in spite of duplicates of the descriptor.
func hangUp(client net.Conn) {
	if uc, ok := client.(*net.UnixConn); ok {
		_ = uc.CloseWrite()
	}
	_ = client.Close()
}

func endOf(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return fmt.Errorf("reading from the client: %w", err)
}
