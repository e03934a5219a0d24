package dom0

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"time"

	"github.com/splitvault/splitvault/test/qubes/qrexec/internal/wire"
)

// Command is what the bench asks of dom0, over admin.sock. Only the host can
// reach that socket.
type Command struct {
	Verb     string   `json:"verb"`
	Qube     string   `json:"qube,omitempty"`
	Text     string   `json:"text,omitempty"`
	ID       int      `json:"id,omitempty"`
	Fault    Fault    `json:"fault,omitzero"`
	Answer   Answer   `json:"answer,omitzero"`
	Limits   Limits   `json:"limits,omitzero"`
	Duration Duration `json:"duration,omitzero"`
}

// reply is dom0's answer to a Command.
type reply struct {
	Error  string          `json:"error,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
}

// Statistics is the answer to the verb "calls".
type Statistics struct {
	Calls         []Call   `json:"calls"`         // oldest first
	Total         int      `json:"total"`         // forgotten ones included
	Open          int      `json:"open"`          // now
	Peak          int      `json:"peak"`          // most at once to one target
	Notifications int      `json:"notifications"` // popups
	Agents        []string `json:"agents"`        // qubes whose agent is connected
}

// maxCommand bounds a command in bytes.
const maxCommand = 64 << 10

func (b *Broker) serveAdmin(ctx context.Context, l *net.UnixListener) {
	for {
		c, err := l.AcceptUnix()
		if err != nil {
			return
		}
		go b.serveCommand(ctx, c)
	}
}

func (b *Broker) serveCommand(ctx context.Context, c *net.UnixConn) {
	defer c.Close()
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	var command Command
	if err := json.NewDecoder(io.LimitReader(c, maxCommand)).Decode(&command); err != nil {
		return
	}
	var r reply
	result, err := b.obey(ctx, command)
	if err == nil {
		r.Result, err = json.Marshal(result)
	}
	if err != nil {
		r = reply{Error: err.Error()}
	}
	_ = c.SetWriteDeadline(time.Now().Add(10 * time.Second))
	_ = json.NewEncoder(c).Encode(r)
}

func (b *Broker) obey(ctx context.Context, c Command) (any, error) {
	switch c.Verb {
	case "calls":
		return b.statistics(), nil
	case "reset":
		b.edit(b.forget)
		return "ok", nil
	case "asks":
		return b.prompts(), nil
	case "answer":
		return "ok", b.answer(c.ID, c.Answer)
	case "answer-default":
		b.edit(func() { b.standing = &c.Answer })
		return "ok", nil
	case "fault":
		return b.addFault(c.Fault)
	case "faults":
		return b.listFaults(), nil
	case "clear":
		b.edit(func() {
			b.faults, b.queue, b.standing = nil, nil, nil
			b.limits, b.start, b.halted = defaultLimits(), b.options.StartCommand, map[string]bool{}
		})
		return "ok", nil
	case "limits":
		if c.Limits.Daemon < 0 || c.Limits.Xen < 0 {
			return nil, errors.New("a limit is negative")
		}
		b.edit(func() { b.limits = c.Limits })
		return c.Limits, nil
	case "start-command":
		b.edit(func() { b.start = c.Text })
		return "ok", nil
	case "reload":
		return "ok", b.reload(context.WithoutCancel(ctx))
	}
	return b.obeyQube(ctx, c)
}

// obeyQube handles the verbs that wait or that name a qube.
func (b *Broker) obeyQube(ctx context.Context, c Command) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, max(c.Duration.Duration, 10*time.Second))
	defer cancel()
	switch c.Verb {
	case "halt":
		b.edit(func() { b.halted[c.Qube] = true; b.cutQube(c.Qube, time.Now()) })
		return "ok", nil
	case "unhalt":
		b.edit(func() { delete(b.halted, c.Qube) })
		return "ok", nil
	case "cut":
		b.edit(func() { b.cutQube(c.Qube, time.Now()) })
		return "ok", nil
	case "restart-agent":
		return b.restartAgent(ctx, c.Qube, c.Duration.Duration)
	case "wait-agent":
		if err := b.waitFor(ctx, func() bool { return b.reachable(c.Qube) != nil }); err != nil {
			return nil, fmt.Errorf("waiting for the agent of %q: %w", c.Qube, err)
		}
		return "ok", nil
	case "wait-idle":
		if err := b.waitFor(ctx, func() bool { return b.countOpen() == 0 && b.pending == 0 }); err != nil {
			return nil, fmt.Errorf("waiting for %d open calls to end: %w", b.statistics().Open, err)
		}
		return "ok", nil
	case "wait-ask":
		if err := b.waitFor(ctx, func() bool { return len(b.asks) > 0 }); err != nil {
			return nil, fmt.Errorf("waiting for a prompt: %w", err)
		}
		return b.prompts(), nil
	}
	return nil, fmt.Errorf("unknown verb %q", c.Verb)
}

// restartAgent returns once the agent is gone; "wait-agent" waits until it is back.
func (b *Broker) restartAgent(ctx context.Context, qube string, pause time.Duration) (any, error) {
	b.mu.Lock()
	a := b.agents[qube]
	b.mu.Unlock()
	if a == nil {
		return nil, fmt.Errorf("qube %q has no agent", qube)
	}
	if err := a.conn.Send(wire.Message{Kind: wire.KindRestart, Pause: pause}); err != nil {
		return nil, err
	}
	if err := b.waitFor(ctx, func() bool { return b.agents[qube] != a }); err != nil {
		return nil, fmt.Errorf("waiting for the agent of %q to stop: %w", qube, err)
	}
	return "ok", nil
}

func (b *Broker) statistics() Statistics {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := Statistics{Calls: []Call{}, Total: b.total, Open: b.countOpen(), Peak: b.peak, Notifications: b.notified, Agents: []string{}}
	for _, c := range b.calls {
		s.Calls = append(s.Calls, c.Call)
	}
	for name := range b.agents {
		s.Agents = append(s.Agents, name)
	}
	slices.Sort(s.Agents)
	return s
}

// countOpen counts what lives now. The caller holds mu.
func (b *Broker) countOpen() int {
	n := 0
	for _, c := range b.open {
		n += c
	}
	return n
}

// forget starts the statistics anew; open calls stay. The caller holds mu.
func (b *Broker) forget() {
	b.calls = slices.DeleteFunc(b.calls, func(c *call) bool { return !c.Open && c.Verdict != "pending" })
	b.total, b.notified, b.peak = len(b.calls), 0, b.countOpen()
}

func (b *Broker) prompts() []Prompt {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := []Prompt{}
	for _, p := range b.asks {
		list = append(list, p.Prompt)
	}
	return list
}

func (b *Broker) listFaults() []Fault {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := []Fault{}
	for _, f := range b.faults {
		list = append(list, *f)
	}
	return list
}

// Do sends a command to the dom0 of dir and decodes its result into result, which
// may be nil.
func Do(dir string, c Command, result any) error {
	conn, err := wire.DialStream(filepath.Join(dir, "admin.sock"))
	if err != nil {
		return fmt.Errorf("asking dom0 of %q: %w", dir, err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(c.Duration.Duration + 30*time.Second))
	if err := json.NewEncoder(conn).Encode(c); err != nil {
		return fmt.Errorf("asking dom0: %w", err)
	}
	var r reply
	if err := json.NewDecoder(conn).Decode(&r); err != nil { // dom0 is ours, not a qube
		return fmt.Errorf("reading dom0's answer: %w", err)
	}
	if r.Error != "" {
		return errors.New(r.Error)
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(r.Result, result)
}
