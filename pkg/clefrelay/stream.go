package clefrelay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/splitvault/splitvault/pkg/jsonrpc"
	"github.com/splitvault/splitvault/pkg/strictjson"
)

const (
	// inFlight bounds the requests of one stream that are served at a time.
	// Clients of go-ethereum send several, and answers come as they are ready.
	inFlight  = 8
	writeTime = 30 * time.Second // for a client that does not read its answers
)

// StreamStats are counted while a stream is served.
type StreamStats struct{ BytesIn, BytesOut int }

// ServeStream serves clef.ipc's own protocol: JSON-RPC requests and batches one
// after the other, with nothing between them, and an answer in a line for each.
// A client that stops sending still gets its answers.
func (r *Relay) ServeStream(ctx context.Context, conn *net.UnixConn) (StreamStats, error) {
	defer conn.Close()
	client, end, err := watchUnix(ctx, conn)
	if err != nil {
		return StreamStats{}, err
	}
	defer end()
	s := &stream{relay: r, conn: conn, places: make(chan struct{}, inFlight)}
	err = s.serve(ctx, client)
	s.answers.Wait()
	if client.Err() != nil && ctx.Err() == nil {
		err = nil // the client went away, which is no fault
	}
	return s.stats, err
}

type stream struct {
	relay   *Relay
	conn    *net.UnixConn
	places  chan struct{}
	answers sync.WaitGroup

	mu    sync.Mutex // over writes to conn, one answer at a time, and stats
	stats StreamStats
}

// serve reads to the end of what the client sends. It waits for the next request
// without a deadline, and for the rest of one, too: the client is a process of the
// same user, and only holds up itself.
func (s *stream) serve(ctx, client context.Context) error {
	reader := strictjson.NewReader(s.conn, jsonrpc.MaxBody)
	for {
		untrusted, err := reader.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, strictjson.ErrNoValue), errors.Is(err, strictjson.ErrTooMuch):
			// What follows may begin anywhere.
			e := jsonrpc.Errorf(jsonrpc.CodeParse, "parse error: %v", err)
			return errors.Join(err, s.write(jsonrpc.Reply{Err: e}.Append(nil, jsonrpc.ID{})))
		case err != nil:
			return fmt.Errorf("reading from the client: %w", err)
		}
		select {
		case s.places <- struct{}{}:
		case <-client.Done():
			return client.Err()
		}
		s.mu.Lock()
		s.stats.BytesIn += len(untrusted)
		s.mu.Unlock()
		s.answers.Go(func() {
			reply, _ := s.relay.Answer(ctx, client, Sender{}, untrusted)
			<-s.places
			_ = s.write(reply) // a client that does not read has gone, as the reader finds
		})
	}
}

func (s *stream) write(reply []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.conn.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return err
	}
	n, err := s.conn.Write(append(reply, '\n'))
	s.stats.BytesOut += n
	if err != nil {
		_ = s.conn.Close() // an answer cut short is the last
		return fmt.Errorf("answering the client: %w", err)
	}
	return nil
}
