package consentd

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/splitvault/splitvault/pkg/consent"
	"github.com/splitvault/splitvault/pkg/journal"
)

// noticePause is how long a qube's next notification waits for the one before:
// what comes meanwhile is one more, which says how many.
const noticePause = 5 * time.Second

// Notices shows what guards have to tell. However much a qube does, its owner gets
// one notification in noticePause for it. Make it with NewNotices.
type Notices struct {
	send func(ctx context.Context, summary, body string) error
	log  logrus.FieldLogger

	mu    sync.Mutex
	qubes map[string]*backlog // those that had a notification lately
}

// backlog is what came since a qube's last notification.
type backlog struct {
	newest consent.Notice
	more   int
}

// NewNotices returns a Notices that shows by send, which is bounded in time.
func NewNotices(send func(ctx context.Context, summary, body string) error, log logrus.FieldLogger) *Notices {
	return &Notices{send: send, log: log, qubes: map[string]*backlog{}}
}

// Tell shows a notice, now or together with others in a moment. It does not wait.
// When ctx ends, what is not shown yet never is.
func (n *Notices) Tell(ctx context.Context, notice consent.Notice) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if b := n.qubes[notice.Qube]; b != nil {
		b.newest = notice
		b.more++
		return
	}
	n.qubes[notice.Qube] = &backlog{}
	go n.show(ctx, notice)
}

// show shows a qube's notice, and then what came meanwhile, until nothing does.
func (n *Notices) show(ctx context.Context, notice consent.Notice) {
	more := 0
	for {
		n.notify(ctx, notice, more)
		select {
		case <-ctx.Done():
			return
		case <-time.After(noticePause):
		}
		var ok bool
		if notice, more, ok = n.next(notice.Qube); !ok {
			return
		}
	}
}

func (n *Notices) next(qube string) (notice consent.Notice, more int, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	b := n.qubes[qube]
	if b.more == 0 {
		delete(n.qubes, qube)
		return consent.Notice{}, 0, false
	}
	n.qubes[qube] = &backlog{}
	return b.newest, b.more - 1, true
}

func (n *Notices) notify(ctx context.Context, notice consent.Notice, more int) {
	what := "was refused"
	if notice.Allowed {
		what = "was allowed"
	}
	body := notice.Service + ": " + notice.Text
	if more > 0 {
		body += fmt.Sprintf("\nand %d more in the last seconds (splitvault log --qube %s)", more, notice.Qube)
	}
	if err := n.send(ctx, "splitvault: "+notice.Qube+" "+what, body); err != nil && ctx.Err() == nil {
		n.log.WithFields(logrus.Fields{journal.Qube: notice.Qube, journal.Service: notice.Service, journal.Err: err}).Warn("no notification could be shown")
	}
}

// Idle tells whether nothing waits to be shown.
func (n *Notices) Idle() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.qubes) == 0
}
