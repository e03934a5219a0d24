package consent

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Clef is a use of the vault's Clef, as a prompt tells it. The texts need not be
// printable: Request makes them so.
type Clef struct {
	Qube    string // dom0's word
	Origin  string // of the page that asks, as the qube says; "" for no page
	Method  string
	Account string // "" if it is not about one
	// Deed completes "Allow the qube work to ", in the guard's own words.
	Deed string
	// Details are what a person should see of it, the most important first.
	Details []Line
	// Digest stands for all that is asked: only an equal one is the same.
	Digest   string
	Remember time.Duration
	Named    bool // see Request
}

// Request returns the question. All that it shows of the request is in the digest.
func (c *Clef) Request() Request {
	r := Request{
		Service: "clef", Qube: Printable(c.Qube, MaxText), Remember: c.Remember, Named: c.Named,
		Subject: []Fact{
			{"method", Printable(c.Method, MaxText)},
			{"account", Printable(c.Account, MaxText)},
			{"page", c.page()},
			{"request", Printable(c.Digest, MaxText)},
		},
		Lines: []Line{{Text: Printable(fmt.Sprintf("Allow the qube %s to %s?", c.Qube, c.Deed), MaxText)}},
	}
	var last []Line
	if c.Account != "" {
		last = append(last, Line{Label: "Account", Text: Printable(c.Account, MaxText)})
	}
	if c.Origin != "" {
		last = append(last, Line{"Page", c.page(), true})
	}
	r.Lines = append(r.fit(c.Details, last), last...)
	return r
}

// detail is how much of a line's text is shown.
const detail = 200

// fit adds as many details as there is room for above the last lines; what has none
// is counted.
func (r *Request) fit(details, last []Line) []Line {
	lines, rows := r.Lines, MaxRows-r.Lines[0].rows()
	for _, l := range last {
		rows -= l.rows()
	}
	details = slices.DeleteFunc(slices.Clone(details), func(l Line) bool { return l.Text == "" })
	for i, l := range details {
		l = Line{Printable(l.Label, 40), Printable(l.Text, detail), l.Claimed}
		left := len(details) - i
		rows -= l.rows()
		if room := MaxLines - len(last) - len(lines); left > 1 && (room < 2 || rows < 1) || room < 1 || rows < 0 {
			return append(lines, Line{Label: "More", Text: fmt.Sprintf("%d lines of this are NOT SHOWN", left)})
		}
		lines = append(lines, l)
	}
	return lines
}

// page is the page's name, of which two must not look alike. Of one that is too long
// it is the end, which says whose name it is, and a hash of all.
func (c *Clef) page() string {
	if p := Printable(c.Origin, MaxText); !strings.HasSuffix(p, "...") {
		return p
	}
	return fmt.Sprintf("...%s (the end of %d letters, SHA-256 %.16x)", Printable(Tail(c.Origin, 150), MaxText), len(c.Origin), sha256.Sum256([]byte(c.Origin)))
}

// Notice is the same as something that a rule decided.
func (c *Clef) Notice(allowed bool) Notice {
	text := c.Deed
	if c.Account != "" {
		text += " with " + c.Account
	}
	if c.Origin != "" {
		text += `, for "` + c.page() + `" as it says`
	}
	return Notice{Service: "clef", Qube: Printable(c.Qube, MaxText), Allowed: allowed, Text: Printable(text, MaxText)}
}
