package dom0

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/splitvault/splitvault/test/qubes/policy"
	"github.com/splitvault/splitvault/test/qubes/qrexec/internal/wire"
)

// maxPending is how many policy decisions a daemon has under way at once,
// qrexec-daemon.c MAX_CLIENTS.
const maxPending = 256

// refusal is a request that ends before the qubes are joined.
type refusal struct {
	reason string
	notify bool
}

func (r *refusal) Error() string { return r.reason }

func refused(format string, v ...any) error { return &refusal{reason: fmt.Sprintf(format, v...)} }

// handle decides one request and carries the decision out.
func (b *Broker) handle(ctx context.Context, a *agentLink, untrusted wire.Message) {
	c := b.newCall(a.qube, untrusted)
	v, err := b.decide(ctx, c, untrusted)
	if err == nil {
		err = b.join(ctx, a, untrusted, c, v)
	}
	if err == nil || ctx.Err() != nil {
		return
	}
	notify := false
	if r, ok := err.(*refusal); ok { //nolint:errorlint // never wrapped
		notify = r.notify
	}
	b.refuse(a, untrusted.Seq, c, notify, err.Error())
}

// decide asks the faults, then policy, then the person.
func (b *Broker) decide(ctx context.Context, c *call, untrusted wire.Message) (policy.Verdict, error) {
	name, argument, err := wire.SplitDescriptor(untrusted.Descriptor)
	if err != nil {
		return policy.Verdict{}, err
	}
	b.edit(func() { c.Service, c.Argument = name, argument })
	if untrusted.ForQube != "" {
		return policy.Verdict{}, refused("%s is no relay of %q", c.Source, untrusted.ForQube)
	}
	if !b.begin() {
		return policy.Verdict{}, refused("too many pending requests")
	}
	defer b.edit(func() { b.pending-- })

	if f := b.fault(c, FaultLate); f != nil {
		if err := sleep(ctx, f.Delay.Duration); err != nil {
			return policy.Verdict{}, err
		}
	}
	if b.fault(c, FaultRefuse) != nil {
		return policy.Verdict{}, refused("refused by the bench")
	}
	v, err := b.evaluate(c)
	if err != nil {
		return policy.Verdict{}, err
	}
	if v.Action == policy.Ask {
		if v, err = b.prompt(ctx, c, v); err != nil {
			return policy.Verdict{}, err
		}
	}
	b.edit(func() { c.Rule = v.Rule })
	if v.Action != policy.Allow {
		return policy.Verdict{}, &refusal{reason: v.Reason, notify: v.Notify}
	}
	b.edit(func() { c.Target = v.Target })
	b.log.printf("qrexec: %s: %s -> %s: allowed to %s", c.descriptor(), c.Source, c.shownTarget(), v.Target)
	return v, nil
}

func (b *Broker) begin() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.pending >= maxPending {
		return false
	}
	b.pending++
	return true
}

// evaluate reads policy and qubes anew for every call, so that no edit is missed.
// A policy that does not load denies everything.
func (b *Broker) evaluate(c *call) (policy.Verdict, error) {
	sys, err := b.system()
	if err != nil {
		return policy.Verdict{}, err
	}
	rules, err := policy.Load(b.options.PolicyDirs...)
	if err != nil {
		b.log.printf("qrexec: error loading policy: %v", err)
		rules = nil
	}
	return rules.Evaluate(sys, policy.Request{
		Source: c.Source, Target: c.Requested, Service: c.Service, Argument: "+" + c.Argument,
	}), nil
}

// join connects the two qubes of an allowed call. An error refuses it.
func (b *Broker) join(ctx context.Context, a *agentLink, untrusted wire.Message, c *call, v policy.Verdict) error {
	target, err := b.target(ctx, c, v)
	if err != nil {
		return err
	}
	if b.fault(c, FaultDown) != nil {
		return refused("target %s is not reachable", c.Target)
	}
	ok, broken := b.opened(c, v)
	if !ok {
		return refused("no free vchan port")
	}
	if b.fault(c, FaultChannel) != nil {
		broken = true
	}
	ends, err := b.channel(c, max(untrusted.Buffer, ringSize))
	if err != nil {
		b.closed(c, err.Error())
		return err
	}
	defer wire.CloseAll(ends.service, ends.client, ends.serviceLife, ends.clientLife)
	if broken {
		// Neither the vchan nor the service comes to be.
		wire.CloseAll(ends.service, ends.serviceLife)
		b.edit(func() { c.Reason = "no channel" })
	} else {
		service := wire.Service{Name: c.Service, Argument: c.Argument, Source: c.Source, User: v.User}
		if err := target.conn.Send(wire.Message{Kind: wire.KindServe, Service: service}, ends.service, ends.serviceLife); err != nil {
			b.closed(c, err.Error())
			return refused("target %s is not reachable: %v", c.Target, err)
		}
	}
	go b.attend(c, ends.serviceWatch, ends.clientWatch)
	// If this fails the caller's agent is gone; the ends close and the target
	// sees that nobody is there.
	_ = a.conn.Send(wire.Message{Kind: wire.KindVerdict, Seq: untrusted.Seq, Allowed: true}, ends.client, ends.clientLife)
	return nil
}

// ends are the descriptors that the two qubes get, and dom0's ends of the
// lifelines.
type ends struct {
	service, client           *os.File
	serviceLife, clientLife   *os.File
	serviceWatch, clientWatch *os.File
}

// channel makes the data channel, with a relay in its middle when a fault wants
// to touch the bytes.
func (b *Broker) channel(c *call, ring int) (ends, error) {
	var e ends
	serviceLife, theirServiceLife, err := wire.SocketPair(0)
	if err != nil {
		return ends{}, err
	}
	clientLife, theirClientLife, err := wire.SocketPair(0)
	if err != nil {
		wire.CloseAll(serviceLife, theirServiceLife)
		return ends{}, err
	}
	e.serviceLife, e.clientLife = theirServiceLife, theirClientLife
	e.serviceWatch, e.clientWatch = serviceLife, clientLife
	shapes := b.streamFaults(c)
	if len(shapes) == 0 {
		c.arm(nil, serviceLife, clientLife)
		e.service, e.client, err = wire.SocketPair(ring)
		return e, err
	}
	var middleService, middleClient *os.File
	if e.service, middleService, err = wire.SocketPair(ring); err != nil {
		return ends{}, err
	}
	if e.client, middleClient, err = wire.SocketPair(ring); err != nil {
		return ends{}, err
	}
	r := newRelay(middleService, middleClient, shapes)
	c.arm(r, serviceLife, clientLife)
	go r.run()
	return e, nil
}

// target is the agent that is to serve the call; a halted qube is started first.
func (b *Broker) target(ctx context.Context, c *call, v policy.Verdict) (*agentLink, error) {
	if c.Target == "dom0" {
		return nil, refused("services in dom0 are not part of the bench")
	}
	if template, ok := strings.CutPrefix(c.Target, "@dispvm:"); ok {
		name, err := b.runStart(ctx, "", template)
		if err != nil {
			return nil, err
		}
		b.edit(func() { c.Target = name })
		return b.waitForAgent(ctx, name)
	}
	b.mu.Lock()
	link, halted := b.reachable(c.Target), b.halted[c.Target]
	b.mu.Unlock()
	if link != nil {
		return link, nil
	}
	sys, err := b.system()
	if err != nil {
		return nil, err
	}
	if sys.Qubes[c.Target].Running && !halted {
		return nil, refused("the agent of %s is not there", c.Target)
	}
	if !v.Autostart {
		return nil, refused("%s is not running", c.Target)
	}
	if _, err := b.runStart(ctx, c.Target, ""); err != nil {
		return nil, err
	}
	return b.waitForAgent(ctx, c.Target)
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return errStopped
	}
}
