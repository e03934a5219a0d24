package consent

import (
	"context"
	"fmt"
	"time"
)

// NoticeTime bounds what a notice may cost the one who gives it.
const NoticeTime = 200 * time.Millisecond

// Notice tells the person of a use that a rule decided without asking, where the
// rule says notify. Its texts must be printable ASCII of at most MaxText bytes:
// see Printable.
type Notice struct {
	Service string `json:"service"` // "ssh", "clef", "pass"
	Qube    string `json:"qube"`    // dom0's word
	Allowed bool   `json:"allowed,omitempty"`
	Text    string `json:"text"` // what was used for what: "log in at github.com as "git""
}

// Check tells whether a notice is fit to be shown.
func (n Notice) Check() error {
	if n.Service == "" || n.Qube == "" || n.Text == "" {
		return fmt.Errorf("%w: a notice wants a service, a qube and a text", ErrRequest)
	}
	return checkTexts([]string{n.Service, n.Qube, n.Text})
}

// Notify hands a notice to consentd, which shows it as a desktop notification, as
// often as a person can read them. It waits for no answer, and at most NoticeTime;
// an error is worth a line in the journal and nothing more. After an error of the
// connection no question can be asked over it: then consentd hangs or is gone.
func (c *Client) Notify(n Notice) error {
	if err := n.Check(); err != nil {
		return err
	}
	line, err := Encode(Message{Notice: &n}, MaxRequest)
	if err != nil {
		return fmt.Errorf("notifying: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.conn.SetWriteDeadline(time.Now().Add(NoticeTime)); err != nil {
		return fmt.Errorf("notifying: %w", err)
	}
	if _, err := c.conn.Write(line); err != nil {
		c.drop() // half a line may have gone
		return fmt.Errorf("notifying: %w", err)
	}
	return nil
}

// noticeDial bounds the start of consentd where nothing but a notice needs it.
const noticeDial = 500 * time.Millisecond

// DialForNotices is Dial for a call that may have something to tell and nothing
// to ask: it gives up soon, as what the rules allow must not wait for a desktop.
func DialForNotices(ctx context.Context, getenv func(string) string) (*Client, error) {
	ctx, cancel := context.WithTimeout(ctx, noticeDial)
	defer cancel()
	return Dial(ctx, getenv)
}
