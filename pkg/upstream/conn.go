package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/splitvault/splitvault/pkg/sshagent"
)

const (
	dialTime = 2 * time.Second
	listTime = 5 * time.Second  // gpg-agent may ask a card
	signTime = 60 * time.Second // a person may have to touch a token
)

// conn is one connection to an agent. After its first error it is broken for
// good: requests and answers are matched by nothing but their order.
type conn struct {
	net.Conn
	reader *sshagent.Reader
	broken bool
}

func dial(ctx context.Context, path string) (*conn, error) {
	d := net.Dialer{Timeout: dialTime}
	c, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c, reader: sshagent.NewReader(c, sshagent.MaxReply, sshagent.FrameTime)}, nil
}

func (c *conn) list(ctx context.Context) ([]sshagent.Identity, error) {
	reply, err := c.exchange(ctx, sshagent.RequestIdentities(), listTime)
	if err != nil {
		return nil, err
	}
	ids, err := sshagent.ParseIdentities(reply)
	if err != nil {
		c.broken = true
		return nil, fmt.Errorf("reading the agent's list: %w", err)
	}
	return ids, nil
}

var errBroken = errors.New("the connection to the agent has failed before")

// exchange sends a request and waits for its answer: not longer than within, and
// not longer than ctx lives.
func (c *conn) exchange(ctx context.Context, request sshagent.Frame, within time.Duration) (sshagent.Frame, error) {
	if c.broken {
		return sshagent.Frame{}, errBroken
	}
	c.broken = true
	if c.reader.Buffered() > 0 {
		return sshagent.Frame{}, errors.New("the agent has answered what it was not asked")
	}
	if err := c.SetDeadline(time.Now().Add(within)); err != nil {
		return sshagent.Frame{}, fmt.Errorf("asking the agent: %w", err)
	}
	defer context.AfterFunc(ctx, func() { c.Close() })()
	if _, err := c.Write(request.Bytes()); err != nil {
		return sshagent.Frame{}, fmt.Errorf("asking the agent: %w", err)
	}
	reply, err := c.reader.Next()
	if err != nil {
		return sshagent.Frame{}, fmt.Errorf("the agent's answer: %w", err)
	}
	c.broken = false
	return reply, nil
}
