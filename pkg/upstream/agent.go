package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/splitvault/splitvault/pkg/sshagent"
	"github.com/splitvault/splitvault/pkg/sshagent/bind"
	"github.com/splitvault/splitvault/pkg/turn"
)

// Agent is one real agent, connected.
//
// The connection is marked as remote by a binding of our own making, so that an
// OpenSSH agent would load no provider library for it (ssh-agent(1), -O
// allow-remote-pkcs11) even if a request for that got through. Keys that were
// added for certain destinations (ssh-add -h) are hidden there. If the agent has
// such keys there is a second connection, without that mark, for clients that
// have bound their session: it takes their bindings, which mark it too. Without
// such keys no unmarked connection is left open.
type Agent struct {
	Path string
	// Turn is that of the calling qube; nil: its requests are not bounded.
	Turn *turn.Turn

	marked  *conn
	local   *conn // nil: no keys with destination constraints
	sent    int   // bindings of the client passed on to local
	refused bool  // the agent takes a binding of the client for false
	small   bool  // not known to be OpenSSH's: the messages of gpg-agent are small
}

// Dial connects to the agent at a socket and finds out what it is. It sends
// nothing of a client.
func Dial(ctx context.Context, path string) (*Agent, error) {
	a := &Agent{Path: path}
	if err := a.connect(ctx); err != nil {
		a.Close()
		return nil, fmt.Errorf("agent at %s: %w", path, err)
	}
	return a, nil
}

func (a *Agent) connect(ctx context.Context) (err error) {
	if a.marked, err = dial(ctx, a.Path); err != nil {
		return err
	}
	// gpg-agent is known by name too: its next release may take bindings.
	if a.small = isGPG(a.Path); a.small {
		return nil
	}
	reply, err := a.mark(ctx, bind.Marker)
	if err == nil && reply != sshagent.TypeSuccess {
		reply, err = a.mark(ctx, bind.SelfMade)
	}
	if err != nil {
		return err
	}
	// What knows no bindings has no keys that depend on them.
	if a.small = reply != sshagent.TypeSuccess; a.small {
		return nil
	}
	return a.probe(ctx)
}

// mark sends a binding of our own and returns the type of the reply.
func (a *Agent) mark(ctx context.Context, binding func() (sshagent.Frame, error)) (sshagent.MessageType, error) {
	frame, err := binding()
	if err != nil {
		return 0, err
	}
	reply, err := a.marked.exchange(ctx, frame, listTime)
	return reply.Type(), err
}

func isGPG(path string) bool {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	return strings.HasPrefix(filepath.Base(path), "S.gpg-agent")
}

// probe looks for keys with destination constraints: OpenSSH lists them to a
// connection without binding, which it takes for a local client's.
func (a *Agent) probe(ctx context.Context) error {
	local, err := dial(ctx, a.Path)
	if err != nil {
		return err
	}
	a.local = local
	all, err := a.local.list(ctx)
	if err != nil {
		return err
	}
	free, err := a.marked.list(ctx)
	if err != nil {
		return err
	}
	same := func(x, y sshagent.Identity) bool { return string(x.Blob) == string(y.Blob) }
	if slices.EqualFunc(all, free, same) {
		a.local.Close()
		a.local = nil
	}
	return nil
}

// Close closes the connections.
func (a *Agent) Close() {
	for _, c := range []*conn{a.marked, a.local} {
		if c != nil {
			c.Close()
		}
	}
}

// Agents are the agents that serve one call.
type Agents []*Agent

// Close closes all connections.
func (agents Agents) Close() {
	for _, a := range agents {
		a.Close()
	}
}

// List returns the agent's keys, as far as a client with these bindings may
// know of them. After an error the agent is Broken.
func (a *Agent) List(ctx context.Context, binds *bind.List) ([]sshagent.Identity, error) {
	c, err := a.use(ctx, binds)
	if err != nil {
		return nil, err
	}
	return c.list(ctx)
}

// ErrTooLarge says that a request was not passed on because of its size.
var ErrTooLarge = errors.New("the request is larger than gpg-agent takes")

// Sign passes a sign request on. The reply is whatever the agent answered, to be
// checked against the request. After an error other than [ErrTooLarge] the agent
// is Broken.
//
// proven says that the bindings were found to speak the truth of where the
// signature goes. If not, keys with destination constraints are out of reach: the
// agent believes any binding whose signature is good, and a client makes one for
// another server's session with a host key of its own.
func (a *Agent) Sign(ctx context.Context, binds *bind.List, proven bool, request sshagent.Frame) (sshagent.Frame, error) {
	if size := 1 + len(request.Body()); a.small && size > sshagent.MaxGPGRequest {
		return sshagent.Frame{}, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, size, sshagent.MaxGPGRequest)
	}
	c := a.marked
	if proven {
		var err error
		if c, err = a.use(ctx, binds); err != nil {
			return sshagent.Frame{}, err
		}
	}
	release, careful, err := a.Turn.Take(ctx)
	if err != nil {
		return sshagent.Frame{}, err
	}
	defer release()
	if careful {
		// An agent that is still at another question does not answer, and gets
		// none on top.
		if _, err := c.list(ctx); err != nil {
			return sshagent.Frame{}, fmt.Errorf("the agent waits for a person, it seems: %w", err)
		}
	}
	return a.sign(ctx, c, request)
}

// slow is how long an agent takes at most that asks nobody.
const slow = 2 * time.Second

// sign puts a request to the agent, in the turn of its qube.
func (a *Agent) sign(ctx context.Context, c *conn, request sshagent.Frame) (sshagent.Frame, error) {
	start := time.Now()
	reply, err := c.exchange(ctx, request, signTime)
	asked := time.Since(start) > slow
	refused := err == nil && reply.Type() == sshagent.TypeFailure && asked
	if refused || err != nil && (asked || !ended(err)) {
		if errStrike := a.Turn.Strike(); errStrike != nil {
			return sshagent.Frame{}, errors.Join(err, errStrike)
		}
	}
	return reply, err
}

// ended tells whether an exchange failed as the agent closed the connection, before it
// or in it, as it does when it ends: if it asked nobody, no question is left in it. The
// guard's own end of waiting is another error.
func ended(err error) bool {
	return slices.ContainsFunc([]error{errBroken, io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE}, func(e error) bool { return errors.Is(err, e) })
}

// Reusable tells whether another client may follow on these connections: the
// bindings that were passed on cannot be taken back.
func (a *Agent) Reusable() bool { return a.sent == 0 && !a.refused }

// Broken tells whether a connection is of no more use: it failed, or an answer
// did not come in time and would be taken for the next one's.
func (a *Agent) Broken() bool {
	return a.marked.broken || a.local != nil && a.local.broken
}

// use returns the connection for a client with these bindings.
func (a *Agent) use(ctx context.Context, binds *bind.List) (*conn, error) {
	frames := binds.Frames()
	if a.local == nil || a.refused || len(frames) == 0 {
		return a.marked, nil
	}
	for _, frame := range frames[a.sent:] {
		reply, err := a.local.exchange(ctx, frame, listTime)
		if err != nil {
			return nil, err
		}
		if reply.Type() != sshagent.TypeSuccess {
			// The agent would now judge by the bindings before this one. The
			// client keeps what needs none.
			a.refused = true
			return a.marked, nil
		}
		a.sent++
	}
	return a.local, nil
}
