// Package passclient asks the vault for entries, for the programs that people use:
// over the socket S.pass where there is one, else by qrexec calls of its own.
package passclient

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/splitvault/splitvault/pkg/passcall"
	"github.com/splitvault/splitvault/pkg/passproto"
	"github.com/splitvault/splitvault/pkg/qrexec"
	"github.com/splitvault/splitvault/pkg/rundir"
	"github.com/splitvault/splitvault/pkg/secret"
)

const (
	// writeTime bounds the sending of a request.
	writeTime = 30 * time.Second
	// refusalTime is how long a reason may take that was sent before.
	refusalTime = time.Second
)

// Client serves one request after the other. Close must be called.
type Client struct {
	getenv func(string) string
	caller *passcall.Caller // without a socket
	conn   *net.UnixConn    // with one, while it is of use
	reader *passproto.Reader
}

// New returns a client, which finds its way to the vault with the first request.
// Whoever sets QUBES_PASS_DOMAIN means that qube, so that the socket, whose relay has
// a target of its own, is not asked then. QUBES_GPG_DOMAIN counts only where there is
// no socket.
func New(getenv func(string) string) *Client { return &Client{getenv: getenv} }

func (c *Client) open() error {
	if c.conn != nil && (c.reader.Buffered() || ended(c.conn)) {
		c.Close()
	}
	if c.caller != nil || c.conn != nil {
		return nil
	}
	named := c.getenv("SPLITVAULT_PASS_SOCKET") != ""
	if c.getenv("QUBES_PASS_DOMAIN") == "" || named {
		conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: SocketPath(c.getenv), Net: "unix"})
		if err == nil {
			c.conn, c.reader = conn, passproto.NewReader(conn)
			return nil
		}
		if named {
			return fmt.Errorf("connecting to SPLITVAULT_PASS_SOCKET: %w", err)
		}
	}
	caller, _, err := passcall.From(c.getenv, qrexec.Self(), "QUBES_PASS_DOMAIN", "QUBES_GPG_DOMAIN")
	if err != nil {
		return err
	}
	c.caller = caller
	return nil
}

// ended tells whether a connection is of no use any more: the relay drops a client
// that says nothing for a while, and says nothing itself between two requests.
func ended(conn *net.UnixConn) bool {
	raw, err := conn.SyscallConn()
	if err != nil {
		return true
	}
	says, pollErr := 0, error(nil)
	err = raw.Control(func(fd uintptr) {
		says, pollErr = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN | unix.POLLRDHUP}}, 0)
	})
	return err != nil || pollErr != nil || says != 0
}

// SocketPath is where pass-relay is reached: SPLITVAULT_PASS_SOCKET, in a container
// say, else $XDG_RUNTIME_DIR/splitvault/S.pass.
func SocketPath(getenv func(string) string) string {
	if path := getenv("SPLITVAULT_PASS_SOCKET"); path != "" {
		return path
	}
	return filepath.Join(rundir.Base(getenv), "splitvault", "S.pass")
}

// Close ends the connection, if there is one.
func (c *Client) Close() {
	if c.conn != nil {
		c.reader.Close()
		_ = c.conn.Close()
		c.conn = nil
	}
}

// Do has one request served, and appends the answer to out if it is whole. A no is
// an [*passproto.Error].
func (c *Client) Do(ctx context.Context, r passproto.Request, body []byte, out *secret.Buffer) error {
	if err := c.open(); err != nil {
		return err
	}
	r.Size = len(body)
	if c.caller != nil {
		return c.caller.Do(ctx, r, body, out)
	}
	conn := c.conn
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	had := out.Len()
	err := c.exchange(r, body, out)
	if err == nil {
		return nil
	}
	out.Cut(had)
	if _, isNo := errors.AsType[*passproto.Error](err); !isNo {
		c.Close() // what else comes over it belongs to no request
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

func (c *Client) exchange(r passproto.Request, body []byte, out *secret.Buffer) error {
	if err := c.conn.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return fmt.Errorf("asking pass-relay: %w", err)
	}
	_, asking := c.conn.Write([]byte(r.String() + "\n"))
	if asking == nil && len(body) > 0 { // a relay may have answered, and gone
		_, asking = c.conn.Write(body)
	}
	if asking != nil {
		// A relay that refuses reads no more: its reason is there already.
		if err := c.conn.SetReadDeadline(time.Now().Add(refusalTime)); err != nil {
			return fmt.Errorf("asking pass-relay: %w", errors.Join(asking, err))
		}
	}
	err := passproto.ReadReply(c.reader, out)
	if _, isNo := errors.AsType[*passproto.Error](err); isNo || err == nil && asking == nil {
		return err
	}
	if asking != nil {
		return fmt.Errorf("asking pass-relay: %w", asking)
	}
	return fmt.Errorf("the relay ended without a whole answer (journalctl --user -t splitvault-pass-relay): %w", err)
}
