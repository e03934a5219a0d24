package dom0

import (
	"os"
	"sync"
	"time"

	"github.com/splitvault/splitvault/test/qubes/policy"
	"github.com/splitvault/splitvault/test/qubes/qrexec/internal/wire"
)

// remembered is how many calls the statistics keep.
const remembered = 10000

// Call is one request and what became of it, as `ctl calls` shows it.
type Call struct {
	ID        int       `json:"id"`
	Source    string    `json:"source"`
	Requested string    `json:"requested"` // as sent, sanitised; "" = none
	Target    string    `json:"target"`    // as decided, "" = none
	Service   string    `json:"service"`
	Argument  string    `json:"argument"` // without "+"
	User      string    `json:"user"`     // "" = default
	Verdict   string    `json:"verdict"`  // pending, allow or deny
	Asked     bool      `json:"asked"`    // a prompt was shown
	Notify    bool      `json:"notify"`   // a notification was shown
	Reason    string    `json:"reason"`   // of a refusal or a failure
	Rule      string    `json:"rule"`     // file:line
	Open      bool      `json:"open"`     // either side still lives
	AtOnce    int       `json:"at_once"`  // calls open to the target when it began, itself included
	Started   time.Time `json:"started"`
	Ended     time.Time `json:"ended,omitzero"`
	// ServiceExit is what the target's side reported, ClientExit what the
	// caller's did; nil = still open, or died without a word.
	ServiceExit *int `json:"service_exit"`
	ClientExit  *int `json:"client_exit"`
}

// call is a Call with what keeps it alive.
type call struct {
	Call

	mu        sync.Mutex
	severed   bool
	lifelines []*os.File // dom0's ends; closing them cuts the call
	relay     *relay     // nil = the two qubes are joined directly
}

// arm says what to close when the call is to be cut, which may already be due.
func (c *call) arm(r *relay, lifelines ...*os.File) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lifelines, c.relay = lifelines, r
	if c.severed {
		c.sever()
	}
}

// cut breaks the call from below, as the end of a qube does.
func (c *call) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.severed = true
	c.sever()
}

func (c *call) sever() {
	wire.CloseAll(c.lifelines...)
	if c.relay != nil {
		c.relay.close()
	}
}

func (b *Broker) newCall(source string, untrusted wire.Message) *call {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.total++
	c := &call{Call: Call{
		ID: b.total, Source: source, Verdict: "pending", Started: time.Now(),
		Requested: wire.SanitiseTarget(untrusted.Target),
	}}
	b.calls = append(b.calls, c)
	if len(b.calls) > remembered && !b.calls[0].Open {
		b.calls = b.calls[1:]
		b.dropped++
	}
	b.announce()
	return c
}

// edit changes a call's record.
func (b *Broker) edit(change func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change()
	b.announce()
}

// refuse answers no, which looks the same to the caller whatever the reason.
func (b *Broker) refuse(a *agentLink, seq uint64, c *call, notify bool, reason string) {
	b.log.printf("qrexec: %s: %s -> %s: denied: %s", c.descriptor(), c.Source, c.shownTarget(), reason)
	b.edit(func() {
		c.Verdict, c.Reason, c.Notify, c.Ended = "deny", reason, notify, time.Now()
		if notify {
			b.notified++
		}
	})
	_ = a.conn.Send(wire.Message{Kind: wire.KindVerdict, Seq: seq})
}

func (c *Call) descriptor() string { return c.Service + "+" + c.Argument }

func (c *Call) shownTarget() string {
	if c.Requested == "" {
		return "@default"
	}
	return c.Requested
}

// opened counts a call as open, unless a limit of the daemon forbids it; broken
// means that Xen is to give out.
func (b *Broker) opened(c *call, v policy.Verdict) (ok, broken bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open[c.Target] >= b.limits.Daemon {
		return false, false
	}
	broken = b.limits.Xen > 0 && b.openFrom[c.Source] >= b.limits.Xen
	c.Verdict, c.User, c.Rule, c.Notify, c.Open = "allow", v.User, v.Rule, v.Notify, true
	if v.Notify {
		b.notified++
	}
	b.open[c.Target]++
	b.openFrom[c.Source]++
	c.AtOnce = b.open[c.Target]
	b.peak = max(b.peak, c.AtOnce)
	b.announce()
	return true, broken
}

func (b *Broker) closed(c *call, reason string) {
	c.cut()
	b.edit(func() {
		c.Open, c.Ended = false, time.Now()
		if reason != "" {
			c.Reason = reason
		}
		b.open[c.Target]--
		b.openFrom[c.Source]--
	})
}

// attend waits until both sides of a call are gone and notes their exit codes.
func (b *Broker) attend(c *call, service, client *os.File) {
	var sides sync.WaitGroup
	sides.Go(func() { b.listen(service, func(code int) { c.ServiceExit = &code }) })
	sides.Go(func() { b.listen(client, func(code int) { c.ClientExit = &code }) })
	sides.Wait()
	b.closed(c, "")
}

// listen reads a side's exit code, if it sends one, then waits for its end.
func (b *Broker) listen(lifeline *os.File, note func(code int)) {
	frame := make([]byte, wire.HeaderSize+4)
	used := 0
	for {
		n, err := lifeline.Read(frame[used:])
		if used += n; used == len(frame) {
			b.edit(func() { note(wire.ParseExit(frame[wire.HeaderSize:])) })
			used = 0
		}
		if err != nil {
			return
		}
	}
}
