// Package agent is qrexec-agent: it takes calls from clients of its qube to dom0
// and starts the services that dom0 allowed others to call. Each service is run
// by a process of its own, so that a call outlives the agent
// (QubesOS/qubes-core-qrexec agent/qrexec-agent.c, qrexec-agent-data.c and
// libqrexec/exec.c, release4.3).
package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/splitvault/splitvault/test/qubes/qrexec/client"
	"github.com/splitvault/splitvault/test/qubes/qrexec/internal/wire"
)

// Oversize says what a NAME+ARG above wire.MaxDescriptor does to the agent.
type Oversize string

// The real agent exits over Xen, and hangs until restarted over other channels.
const (
	OversizeExit  Oversize = "exit"
	OversizeWedge Oversize = "wedge"
)

// Session says whether a service finds a GUI session.
type Session string

// SessionAuto means gui once the file Options.SessionMarker exists.
const (
	SessionGUI  Session = "gui"
	SessionNone Session = "none"
	SessionAuto Session = "auto"
)

// Options are the settings of an agent.
type Options struct {
	Control  string // dom0's socket for this qube
	Socket   string // where clients of this qube connect
	Oversize Oversize
	Host     Host
	Ready    func()                        // called once, when clients can connect; may be nil
	Log      func(format string, v ...any) // one line
}

// Host describes the qube to the processes that run its services.
type Host struct {
	User          string   `json:"user"` // the qube's default user
	Session       Session  `json:"session"`
	SessionMarker string   `json:"session_marker"` // "" = /run/qubes/qrexec-server.USER.sock
	ServicePath   []string `json:"service_path"`   // nil = as the release has it
	ConfigPath    []string `json:"config_path"`    // nil = as the release has it
	Release       string   `json:"release"`        // 4.1, 4.2 or 4.3
	Env           []string `json:"env"`            // added to every service's environment
}

// errOversize ends an agent as the control ring's overflow ends the real one.
var errOversize = errors.New("service name and argument exceed the control channel")

// Agent is a running agent.
type Agent struct {
	options Options

	mu       sync.Mutex
	dom0     *wire.Conn // nil = not connected
	listener *net.UnixListener
	next     uint64
	waiting  map[uint64]chan verdict
	wedged   bool
	paused   bool
	fatal    chan error
}

type verdict struct {
	allowed bool
	files   []*os.File
}

// Run runs an agent until ctx ends or it breaks as the real one would. Services
// under way live on.
func Run(ctx context.Context, o Options) error {
	a := &Agent{options: o, waiting: map[uint64]chan verdict{}, fatal: make(chan error, 1)}
	if err := a.publishRelease(); err != nil {
		return err
	}
	if err := a.listen(); err != nil {
		return err
	}
	defer a.close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	tried := make(chan struct{})
	go a.keepConnected(ctx, tried)
	select {
	case <-tried:
	case <-ctx.Done():
		return nil
	}
	if o.Ready != nil {
		o.Ready()
	}
	select {
	case err := <-a.fatal:
		return err
	case <-ctx.Done():
		return nil
	}
}

// publishRelease tells clients which release's options to understand.
func (a *Agent) publishRelease() error {
	path := a.options.Socket + client.ReleaseSuffix
	if a.options.Host.Release == "4.3" {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		return nil
	}
	return os.WriteFile(path, []byte(a.options.Host.Release+"\n"), 0o644)
}

func (a *Agent) listen() error {
	l, err := wire.Listen("unixpacket", a.options.Socket, 0o666)
	if err != nil {
		return err
	}
	a.mu.Lock()
	a.listener = l
	a.mu.Unlock()
	go a.accept(l)
	return nil
}

func (a *Agent) accept(l *net.UnixListener) {
	for {
		c, err := l.AcceptUnix()
		if err != nil {
			return
		}
		go a.serveClient(wire.NewConn(c))
	}
}

// serveClient passes one request on and dom0's answer back. Closing the
// connection is how a client is refused.
func (a *Agent) serveClient(c *wire.Conn) {
	defer c.Close()
	request, files, err := c.Receive()
	wire.CloseAll(files...)
	if err != nil || request.Kind != wire.KindCall {
		return
	}
	if len(request.Descriptor) > wire.MaxDescriptor {
		a.overflow(len(request.Descriptor))
	}
	answer := a.ask(request)
	if answer == nil {
		return
	}
	v, ok := <-answer
	if !ok || !v.allowed {
		return
	}
	defer wire.CloseAll(v.files...)
	_ = c.Send(wire.Message{Kind: wire.KindVerdict, Allowed: true}, v.files...)
}

// overflow is the end of an agent whose control channel is asked to carry too
// much. In wedge mode nothing is answered any more, until a restart.
func (a *Agent) overflow(size int) {
	err := fmt.Errorf("%w: %d bytes, at most %d", errOversize, size, wire.MaxDescriptor)
	a.options.Log("%v", err)
	if a.options.Oversize == OversizeExit {
		select {
		case a.fatal <- err:
		default:
		}
		return
	}
	a.mu.Lock()
	a.wedged = true
	a.mu.Unlock()
}

// ask sends request to dom0. It returns nil when dom0 cannot be asked, and a
// channel that never answers when the agent is wedged.
func (a *Agent) ask(request wire.Message) chan verdict {
	a.mu.Lock()
	defer a.mu.Unlock()
	answer := make(chan verdict, 1)
	if a.wedged {
		a.next++
		a.waiting[a.next] = answer
		return answer
	}
	if a.dom0 == nil || len(request.Descriptor) > wire.MaxDescriptor {
		return nil
	}
	a.next++
	request.Seq = a.next
	if err := a.dom0.Send(request); err != nil {
		a.options.Log("asking dom0: %v", err)
		return nil
	}
	a.waiting[a.next] = answer
	return answer
}

// keepConnected connects to dom0 and does its bidding, again and again; tried is
// closed after the first attempt.
func (a *Agent) keepConnected(ctx context.Context, tried chan struct{}) {
	const first, last = 20 * time.Millisecond, time.Second
	once := sync.OnceFunc(func() { close(tried) })
	pause := first
	for ctx.Err() == nil {
		if a.connectOnce(ctx, once) {
			pause = first
		}
		once()
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, last)
	}
}

func (a *Agent) connectOnce(ctx context.Context, connected func()) bool {
	a.mu.Lock()
	paused := a.paused
	a.mu.Unlock()
	if paused {
		return true
	}
	c, err := wire.Dial(a.options.Control)
	if err != nil {
		return false
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	if err := c.Send(wire.Message{Kind: wire.KindHello, PID: os.Getpid(), Release: a.options.Host.Release}); err != nil {
		return false
	}
	a.mu.Lock()
	a.dom0 = c
	a.mu.Unlock()
	connected()
	for {
		m, files, err := c.Receive()
		if err != nil {
			break
		}
		a.obey(m, files, c)
	}
	a.disconnected()
	return true
}

// disconnected refuses who still waits for an answer.
func (a *Agent) disconnected() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.dom0 = nil
	for seq, answer := range a.waiting {
		close(answer)
		delete(a.waiting, seq)
	}
}

// obey does what dom0 says; it owns files.
func (a *Agent) obey(m wire.Message, files []*os.File, dom0 *wire.Conn) {
	switch m.Kind {
	case wire.KindVerdict:
		a.mu.Lock()
		answer := a.waiting[m.Seq]
		if a.wedged {
			answer = nil
		}
		delete(a.waiting, m.Seq)
		a.mu.Unlock()
		if answer == nil {
			wire.CloseAll(files...)
			return
		}
		answer <- verdict{allowed: m.Allowed, files: files}
	case wire.KindServe:
		a.startService(m.Service, files)
	case wire.KindRestart:
		wire.CloseAll(files...)
		a.restart(m.Pause)
		_ = dom0.Close()
	default:
		wire.CloseAll(files...)
	}
}

// restart plays an agent that ends and is back after pause. Calls under way live
// on; clients that connect meanwhile find no socket.
func (a *Agent) restart(pause time.Duration) {
	a.mu.Lock()
	a.paused, a.wedged = true, false
	l := a.listener
	a.mu.Unlock()
	_ = l.Close()
	_ = os.Remove(a.options.Socket)
	time.AfterFunc(pause, func() {
		if err := a.listen(); err != nil {
			a.fatal <- fmt.Errorf("listening again: %w", err)
			return
		}
		a.mu.Lock()
		a.paused = false
		a.mu.Unlock()
	})
}

func (a *Agent) close() {
	a.mu.Lock()
	l := a.listener
	a.mu.Unlock()
	_ = l.Close()
	_ = os.Remove(a.options.Socket)
	_ = os.Remove(a.options.Socket + client.ReleaseSuffix)
}
