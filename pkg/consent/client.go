package consent

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/splitvault/splitvault/pkg/hangup"
	"github.com/splitvault/splitvault/pkg/peer"
	"github.com/splitvault/splitvault/pkg/rundir"
)

const (
	// SocketName is consentd's socket, in splitvault's directory of state.
	SocketName = "S.consent"
	helloTime  = time.Second
	sendTime   = 2 * time.Second
	// AnswerTime is longer than consentd lets any question live: it queues for two
	// minutes, waits half a minute for a display and is shown for one.
	AnswerTime = 4 * time.Minute
)

var (
	// ErrNotRunning says that nobody listens.
	ErrNotRunning = errors.New("consentd is not running")
	// ErrNotOurs says that the socket belongs to another user.
	ErrNotOurs = errors.New("another user's program listens there")
)

// Client is a connection to consentd. One question at a time is asked over it.
type Client struct {
	conn   net.Conn
	reader *bufio.Reader
	screen Screen

	mu     sync.Mutex
	broken bool
}

// Connect connects to a consentd that runs.
func Connect(ctx context.Context, getenv func(string) string) (*Client, error) {
	dir, err := rundir.Make(rundir.Base(getenv))
	if err != nil {
		return nil, fmt.Errorf("connecting to consentd: %w", err)
	}
	dialer := net.Dialer{Timeout: helloTime}
	conn, err := dialer.DialContext(ctx, "unix", filepath.Join(dir, SocketName))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotRunning, err)
	}
	c := &Client{conn: conn, reader: bufio.NewReaderSize(conn, MaxRequest), screen: ScreenFrom(getenv)}
	if err := c.greet(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

// greet waits for the greeting: a connection may still be in the queue of a
// consentd that ends.
func (c *Client) greet(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { c.conn.Close() })()
	p, err := peer.Of(c.conn)
	if err != nil {
		return fmt.Errorf("connecting to consentd: %w", err)
	}
	if p.UID != os.Getuid() {
		return fmt.Errorf("connecting to consentd: %w: user %d", ErrNotOurs, p.UID)
	}
	if err := c.conn.SetReadDeadline(time.Now().Add(helloTime)); err != nil {
		return fmt.Errorf("connecting to consentd: %w", err)
	}
	untrusted, err := ReadLine(c.reader)
	if err != nil {
		return fmt.Errorf("%w: it does not greet: %w", ErrNotRunning, err)
	}
	hello, err := decode[Hello](untrusted)
	if err != nil {
		return fmt.Errorf("connecting to consentd: %w", err)
	}
	if hello.V != version {
		return fmt.Errorf("connecting to consentd: it speaks version %d, not %d: systemctl --user stop %s", hello.V, version, Unit)
	}
	return nil
}

// Close ends the connection and withdraws a question.
func (c *Client) Close() error { return c.conn.Close() }

// Watch begins to watch for consentd's end. While it does, consentd sees no Close.
func (c *Client) Watch() (*hangup.Watcher, error) {
	socket, ok := c.conn.(syscall.Conn)
	if !ok {
		return nil, fmt.Errorf("watching for the end of consentd: a %T is no socket", c.conn)
	}
	return hangup.Watch(socket)
}

// Broken tells that an exchange has failed, after which there is no other.
func (c *Client) Broken() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.broken
}

// Ask asks the person and waits for the answer. Only an Answer whose Allowed is
// true, together with a nil error, is a yes. When ctx ends, or after
// AnswerTime, the question is withdrawn and the connection closed; no other
// question can be asked over it then.
func (c *Client) Ask(ctx context.Context, r Request) (Answer, error) {
	if err := r.Check(); err != nil {
		return Answer{}, err
	}
	reply, err := c.exchange(ctx, Message{Ask: &Question{
		Service: r.Service, Qube: r.Qube, Subject: r.Subject, Lines: r.Lines,
		Remember: r.Remember.Milliseconds(), Named: r.Named, Screen: c.screen,
	}}, MaxRequest)
	if err != nil {
		return Answer{}, fmt.Errorf("asking the person: %w", err)
	}
	answer, err := reply.answer()
	if err != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.drop()
		return Answer{}, fmt.Errorf("asking the person: %w", err)
	}
	return answer, nil
}

// exchange sends a line and returns the line it is answered with. After an error
// the connection is of no more use and is closed.
func (c *Client) exchange(ctx context.Context, m Message, limit int) (Reply, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	stop := context.AfterFunc(ctx, func() { c.conn.Close() })
	defer stop()
	reply, err := c.talk(m, limit)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		c.drop()
		return Reply{}, err
	}
	return reply, nil
}

// drop ends a connection on which an exchange has failed. The caller has mu.
func (c *Client) drop() {
	c.broken = true
	c.conn.Close()
}

func (c *Client) talk(m Message, limit int) (Reply, error) {
	line, err := Encode(m, MaxRequest)
	if err != nil {
		return Reply{}, err
	}
	if err := c.conn.SetWriteDeadline(time.Now().Add(sendTime)); err != nil {
		return Reply{}, err
	}
	if err := c.conn.SetReadDeadline(time.Now().Add(AnswerTime)); err != nil {
		return Reply{}, err
	}
	if _, err := c.conn.Write(line); err != nil {
		return Reply{}, err
	}
	if c.reader.Size() < limit {
		c.reader = bufio.NewReaderSize(c.conn, limit)
	}
	untrusted, err := ReadLine(c.reader)
	if err != nil {
		return Reply{}, fmt.Errorf("consentd went away: %w", err)
	}
	return decode[Reply](untrusted)
}
