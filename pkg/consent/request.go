package consent

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Limits of a request. A guard that keeps to them stays below a line's limit.
const (
	MaxFacts   = 16
	MaxLines   = 16
	MaxText    = 256            // bytes of a name, value, label or text
	MaxRequest = 16 << 10       // bytes of a client's line, and of an answer
	MaxState   = 4 << 20        // bytes of a line that shows the grants
	MaxGrant   = 24 * time.Hour // longest grant
)

// Fact is a name and value by which a grant knows what it was given for.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Line is a line of the dialog.
type Line struct {
	Label   string `json:"label,omitempty"` // "Key"; without one the text stands alone
	Text    string `json:"text"`
	Claimed bool   `json:"claimed,omitempty"` // the client says so; shown in quotation marks and as a claim
}

// Request is a question. Every text in it must be printable ASCII of at most
// MaxText bytes: see Printable.
type Request struct {
	Service string // "ssh", "clef", "pass"
	Qube    string // dom0's word
	// Subject says what is asked, in an order that is always the same. Questions
	// with equal service, qube and subject share one prompt, and a grant answers
	// them: whatever makes a difference to the person belongs here.
	Subject []Fact
	Lines   []Line // what the dialog shows; the first one is the question
	// Remember is the longest grant that is offered; 0 offers once only.
	Remember time.Duration
	// Named says that the rule names this disposable's pattern literally, so that
	// a grant may be given although its name is used again for others.
	Named bool
}

// ErrRequest says that a question cannot be asked as it is.
var ErrRequest = errors.New("not a question for a person")

// Check tells whether a request keeps the limits and is fit to be shown.
func (r *Request) Check() error {
	switch {
	case r.Service == "" || r.Qube == "" || len(r.Subject) == 0 || len(r.Lines) == 0:
		return fmt.Errorf("%w: it wants a service, a qube, a subject and lines", ErrRequest)
	case len(r.Subject) > MaxFacts || len(r.Lines) > MaxLines:
		return fmt.Errorf("%w: more than %d facts or %d lines", ErrRequest, MaxFacts, MaxLines)
	case r.Remember < 0 || r.Remember > MaxGrant:
		return fmt.Errorf("%w: a grant of %v", ErrRequest, r.Remember)
	}
	texts := []string{r.Service, r.Qube}
	for _, f := range r.Subject {
		texts = append(texts, f.Name, f.Value)
	}
	for _, l := range r.Lines {
		texts = append(texts, l.Label, l.Text)
	}
	return checkTexts(texts)
}

func checkTexts(texts []string) error {
	for _, text := range texts {
		if len(text) > MaxText {
			return fmt.Errorf("%w: a text of %d bytes, at most %d can be shown", ErrRequest, len(text), MaxText)
		}
		if strings.ContainsFunc(text, unprintable) {
			return fmt.Errorf("%w: %q is not printable ASCII", ErrRequest, text)
		}
	}
	return nil
}

// Key returns what a grant is bound to; equal keys mean an equal question. No
// text holds a line feed, so that no two subjects have the same key.
func (r *Request) Key() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s", r.Service, r.Qube)
	for _, f := range r.Subject {
		fmt.Fprintf(&b, "\n%s\n%s", f.Name, f.Value)
	}
	return b.String()
}

// Longest returns the longest grant this question may get. Qubes names
// disposables "disp" and a number, and uses the numbers again.
func (r *Request) Longest() time.Duration {
	digits, disposable := strings.CutPrefix(r.Qube, "disp")
	if disposable && digits != "" && strings.Trim(digits, "0123456789") == "" && !r.Named {
		return 0
	}
	return r.Remember
}

// Printable makes any text fit for a request: bytes other than printable ASCII
// become \xNN, a backslash is doubled, and what is beyond limit bytes of the
// result, at most MaxText, is cut, which three dots at its end say.
func Printable(untrusted string, limit int) string {
	const dots = "..."
	limit = max(min(limit, MaxText), len(dots))
	var b strings.Builder
	for i := range len(untrusted) {
		piece := string(rune(untrusted[i]))
		switch c := untrusted[i]; {
		case c == '\\':
			piece = `\\`
		case unprintable(rune(c)):
			piece = fmt.Sprintf(`\x%02x`, c)
		}
		rest := len(untrusted) - i - 1
		if room := limit - b.Len() - len(piece); room < 0 || rest > 0 && room < len(dots) && !fits(untrusted[i+1:], room) {
			return b.String() + dots
		}
		b.WriteString(piece)
	}
	return b.String()
}

// fits tells whether text needs no more than room bytes; it is short if it does.
func fits(untrusted string, room int) bool {
	if len(untrusted) > room {
		return false
	}
	for i := range len(untrusted) {
		room -= printed(untrusted[i])
	}
	return room >= 0
}

func unprintable(r rune) bool { return r < ' ' || r > '~' }
