// Package clefbackend talks to the Clef of this machine: over its IPC socket, or
// over HTTP where the requests say who asks, which Clef then shows.
//
// A connection is made, and proven to lead to Clef by a real answer, before a
// confined guard reads the first hostile byte; after that no new one is needed.
// Clef's HTTP server drops a connection that says nothing for two minutes, so
// [Conn.KeepAlive] is to be called while a person is asked.
//
// Sources: go-ethereum v1.17.3 rpc/http.go, rpc/ipc_unix.go, rpc/json.go,
// node/rpcstack.go.
package clefbackend

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/splitvault/splitvault/pkg/clefapi"
	"github.com/splitvault/splitvault/pkg/clefcall"
	"github.com/splitvault/splitvault/pkg/jsonrpc"
	"github.com/splitvault/splitvault/pkg/strictjson"
)

var (
	// ErrDown says that nothing listens there.
	//lint:ignore ST1005 Clef is a name
	ErrDown = errors.New("Clef does not listen") //nolint:staticcheck // a name
	// ErrNotClef says that what listens there is not Clef.
	ErrNotClef = errors.New("what listens is not Clef")
	// ErrLoop says that what listens there is this qube's own relay.
	ErrLoop = errors.New("this qube is client and vault: what listens is splitvault's own relay")
	// ErrBroken says that Clef did not answer a request, or not as it should.
	//lint:ignore ST1005 Clef is a name
	ErrBroken = errors.New("Clef gave no answer") //nolint:staticcheck // a name
)

const (
	connectTime = 2 * time.Second
	probeTime   = 3 * time.Second
	// httpTime is longer than the 29.9 s that Clef takes over HTTP at most.
	httpTime = 45 * time.Second
	// ipcTime bounds an answer over the IPC socket, where Clef has no bound.
	ipcTime = 30 * time.Minute
	// Idle is how often KeepAlive is to be called.
	Idle = 45 * time.Second
)

// Caller is who asks, in the letters that clefcall.Clean leaves.
type Caller struct {
	Qube      string // a fact
	Origin    string // what the qube says of the page, "" for none
	UserAgent string // what the qube says of the program
}

// Conn is a connection to Clef, for one request.
type Conn struct {
	conn   net.Conn
	http   *bufio.Reader // nil for the IPC socket
	stream *strictjson.Reader
}

// Dial connects to network ("tcp" for HTTP, "unix" for the IPC socket) and
// address, and has Clef tell its version. Its error is ErrDown, also when ctx ends,
// ErrNotClef or ErrLoop.
func Dial(ctx context.Context, network, address string) (*Conn, error) {
	dialer := net.Dialer{Timeout: connectTime}
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("%w at %s: %w", ErrDown, address, err)
	}
	c := &Conn{conn: conn}
	if network == "unix" {
		c.stream = strictjson.NewReader(conn, jsonrpc.MaxReply)
	} else {
		c.http = bufio.NewReaderSize(conn, maxHead)
	}
	if err := c.probe(ctx); err != nil {
		conn.Close()
		return nil, fmt.Errorf("at %s: %w", address, err)
	}
	return c, nil
}

// probe wants a version for an answer.
func (c *Conn) probe(ctx context.Context) error {
	defer c.until(ctx, probeTime)()
	reply, err := c.exchange(jsonrpc.Request{Method: clefapi.Version}, Caller{}, false)
	switch {
	case ends(err):
		return fmt.Errorf("%w: it closes the connection, or says nothing", ErrDown)
	case err != nil:
		return fmt.Errorf("%w: %w", ErrNotClef, err)
	case reply.Err != nil && reply.Err.Code == jsonrpc.CodeDisconnected:
		return ErrLoop
	case reply.Err != nil:
		return fmt.Errorf("%w: it answers %q", ErrNotClef, reply.Err.Message)
	case reply.Result.Kind() != strictjson.String:
		return fmt.Errorf("%w: its version is %v", ErrNotClef, reply.Result.Kind())
	}
	return nil
}

// ends tells whether an error is that of a program that ends, or has stopped.
func ends(err error) bool {
	for _, end := range []error{io.EOF, io.ErrUnexpectedEOF, os.ErrDeadlineExceeded, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, end) {
			return true
		}
	}
	return false
}

// Close ends the connection.
func (c *Conn) Close() error { return c.conn.Close() }

// Call sends a request and waits for the answer, for as long as Clef may take.
// Over HTTP Clef is told who asks. No other request can follow. An error means
// that it is not known what Clef did; that of ctx is its cause.
func (c *Conn) Call(ctx context.Context, r jsonrpc.Request, from Caller) (jsonrpc.Reply, error) {
	limit := ipcTime
	if c.http != nil {
		limit = httpTime
	}
	defer c.until(ctx, limit)()
	reply, err := c.exchange(r, from, true)
	if ctx.Err() != nil {
		return jsonrpc.Reply{}, context.Cause(ctx)
	}
	if err != nil {
		return jsonrpc.Reply{}, fmt.Errorf("%w: %w", ErrBroken, err)
	}
	return reply, nil
}

// until gives what follows a deadline, and ends it with ctx; the result lifts both.
func (c *Conn) until(ctx context.Context, limit time.Duration) (done func()) {
	// An error means that the connection is closed, which what follows finds out.
	_ = c.conn.SetDeadline(time.Now().Add(limit))
	stop := context.AfterFunc(ctx, func() { _ = c.conn.SetDeadline(time.Unix(1, 0)) })
	return func() {
		if stop() {
			_ = c.conn.SetDeadline(time.Time{})
		}
	}
}

func (c *Conn) exchange(r jsonrpc.Request, from Caller, last bool) (jsonrpc.Reply, error) {
	body := r.Append(nil, clefcall.Marker())
	var untrusted []byte
	var err error
	if c.http != nil {
		untrusted, err = c.post(body, from, last)
	} else {
		untrusted, err = c.send(body, last)
	}
	if err != nil {
		return jsonrpc.Reply{}, err
	}
	reply, err := jsonrpc.ParseReply(untrusted)
	if err != nil {
		return jsonrpc.Reply{}, err
	}
	// Clef's parser gives errors without an id.
	if reply.ID != clefcall.Marker() && (reply.Err == nil || reply.ID != (jsonrpc.ID{}) && reply.ID.String() != "null") {
		return jsonrpc.Reply{}, errors.New("an answer to another request")
	}
	return reply, nil
}

// send is one request over the IPC socket; after the last one nothing more is sent.
func (c *Conn) send(body []byte, last bool) ([]byte, error) {
	if _, err := c.conn.Write(append(body, '\n')); err != nil {
		return nil, err
	}
	if half, ok := c.conn.(*net.UnixConn); ok && last {
		if err := half.CloseWrite(); err != nil {
			return nil, err
		}
	}
	return c.stream.Next()
}
