// Package dom0 is the dom0 side of the emulator: qrexec-daemon and
// qrexec-policy-daemon for all qubes in one process. It decides, joins the two
// qubes of an allowed call, keeps count, and breaks things when told to
// (QubesOS/qubes-core-qrexec daemon/qrexec-daemon.c and
// qrexec/tools/qrexec_policy_exec.py, release4.3).
package dom0

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/splitvault/splitvault/test/qubes/policy"
	"github.com/splitvault/splitvault/test/qubes/qrexec/internal/wire"
)

// ringSize is the size of a vchan ring in bytes, qrexec-agent-data.c
// VCHAN_BUFFER_SIZE.
const ringSize = 65536

// Options are the settings of a broker.
type Options struct {
	Dir          string        // gets NAME/control, admin.sock and dom0.log
	PolicyDirs   []string      // /etc/qubes/policy.d, then /run/qubes/policy.d
	QubesFile    string        // policy.LoadSystem
	StartCommand string        // run by sh to start the halted qube $QUBE; "" = starting fails
	Grace        time.Duration // how long an agent may be away before its calls are cut
}

// Broker is the running dom0.
type Broker struct {
	options Options
	log     *journal

	mu        sync.Mutex
	listeners map[string]*net.UnixListener
	agents    map[string]*agentLink
	halted    map[string]bool
	calls     []*call
	dropped   int // calls no longer remembered
	pending   int // policy decisions under way
	open      map[string]int
	openFrom  map[string]int
	peak      int
	total     int
	notified  int
	asks      []*prompt
	queue     []Answer
	standing  *Answer
	faults    []*Fault
	nextFault int
	limits    Limits
	start     string
	changed   chan struct{} // closed and replaced whenever a call or agent changes
}

// agentLink is the control connection of one qube's agent.
type agentLink struct {
	qube string
	conn *wire.Conn
}

// Run runs dom0 until ctx ends; ready is called once all qubes' sockets exist.
// At the end every call is cut: services see the end of file, clients exit 255.
func Run(ctx context.Context, o Options, ready func()) error {
	log, err := openJournal(filepath.Join(o.Dir, "dom0.log"))
	if err != nil {
		return err
	}
	defer log.close()
	b := &Broker{
		options:   o,
		log:       log,
		listeners: map[string]*net.UnixListener{},
		agents:    map[string]*agentLink{},
		halted:    map[string]bool{},
		open:      map[string]int{},
		openFrom:  map[string]int{},
		limits:    defaultLimits(),
		start:     o.StartCommand,
		changed:   make(chan struct{}),
	}
	defer b.close()
	if err := b.reload(ctx); err != nil {
		return err
	}
	admin, err := wire.Listen("unix", filepath.Join(o.Dir, "admin.sock"), 0o600)
	if err != nil {
		return err
	}
	defer os.Remove(filepath.Join(o.Dir, "admin.sock"))
	defer admin.Close()
	go b.serveAdmin(ctx, admin)
	stop, err := watch(o.QubesFile, func() {
		if err := b.reload(ctx); err != nil {
			b.log.printf("reading qubes: %v", err)
		}
	})
	if err != nil {
		return err
	}
	defer stop()
	if ready != nil {
		ready()
	}
	<-ctx.Done()
	return nil
}

// reload makes a control socket for every qube that has none yet.
func (b *Broker) reload(ctx context.Context) error {
	sys, err := policy.LoadSystem(b.options.QubesFile)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for name := range sys.Qubes {
		if name == "dom0" || b.listeners[name] != nil {
			continue
		}
		if filepath.Base(name) != name {
			return fmt.Errorf("qube name %q is no file name", name)
		}
		dir := filepath.Join(b.options.Dir, name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		l, err := wire.Listen("unixpacket", filepath.Join(dir, "control"), 0o666)
		if err != nil {
			return err
		}
		b.listeners[name] = l
		go b.accept(ctx, name, l)
	}
	return nil
}

// accept takes agents' connections. The socket a connection came in by says
// whose it is: only that directory is visible inside that qube.
func (b *Broker) accept(ctx context.Context, qube string, l *net.UnixListener) {
	for {
		c, err := l.AcceptUnix()
		if err != nil {
			return
		}
		go b.serveAgent(ctx, &agentLink{qube: qube, conn: wire.NewConn(c)})
	}
}

func (b *Broker) serveAgent(ctx context.Context, a *agentLink) {
	defer a.conn.Close()
	hello, files, err := a.conn.Receive()
	wire.CloseAll(files...)
	if err != nil || hello.Kind != wire.KindHello {
		return
	}
	b.attach(a)
	defer b.detach(a)
	for {
		m, files, err := a.conn.Receive()
		wire.CloseAll(files...)
		if err != nil {
			return
		}
		if m.Kind == wire.KindCall {
			go b.handle(ctx, a, m)
		}
	}
}

func (b *Broker) attach(a *agentLink) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if old := b.agents[a.qube]; old != nil {
		_ = old.conn.Close() // a new agent replaces the old one
	}
	b.agents[a.qube] = a
	b.announce()
}

// detach forgets an agent. If no other takes its place within the grace period,
// the qube counts as gone, and so do the calls it serves. Those that came later wait
// for the agent.
func (b *Broker) detach(a *agentLink) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.agents[a.qube] != a {
		return
	}
	delete(b.agents, a.qube)
	b.announce()
	left := time.Now()
	time.AfterFunc(b.options.Grace, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.agents[a.qube] == nil {
			b.cutQube(a.qube, left)
		}
	})
}

// cutQube drops all calls to or from qube that began before a time. The caller holds mu.
func (b *Broker) cutQube(qube string, before time.Time) {
	for _, c := range b.calls {
		if (c.Target == qube || c.Source == qube) && c.Started.Before(before) {
			c.cut()
		}
	}
}

// announce wakes who waits for a change. The caller holds mu.
func (b *Broker) announce() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// waitFor waits until done, called with mu held, is true.
func (b *Broker) waitFor(ctx context.Context, done func() bool) error {
	for {
		b.mu.Lock()
		ok, changed := done(), b.changed
		b.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// reachable is the agent of a qube that runs, else nil. The caller holds mu.
func (b *Broker) reachable(qube string) *agentLink {
	if b.halted[qube] {
		return nil
	}
	return b.agents[qube]
}

// system is the state of the qubes as policy sees it: a qube whose agent is
// connected runs, whatever the file says; a halted one does not.
func (b *Broker) system() (policy.System, error) {
	sys, err := policy.LoadSystem(b.options.QubesFile)
	if err != nil {
		return policy.System{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	qubes := maps.Clone(sys.Qubes)
	for name, q := range qubes {
		q.Running = !b.halted[name] && (q.Running || b.agents[name] != nil)
		qubes[name] = q
	}
	return policy.System{Qubes: qubes}, nil
}

func (b *Broker) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for name, l := range b.listeners {
		_ = l.Close()
		_ = os.Remove(filepath.Join(b.options.Dir, name, "control"))
	}
	for _, a := range b.agents {
		_ = a.conn.Close()
	}
	for _, c := range b.calls {
		c.cut()
	}
}

// errStopped ends what waits when dom0 does.
var errStopped = errors.New("dom0 is shutting down")
