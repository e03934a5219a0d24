package consent

import (
	"crypto/sha256"
	"fmt"
	"time"
)

// Pass is a use of a password store, as a prompt tells it. The texts need not be
// printable: Request makes them so.
type Pass struct {
	Qube     string // dom0's word
	Verb     string // as rules name it: "list", "find", "field", "otp", "show", "insert", "generate", "replace"
	Entry    string // what is used, or the scope of a list, "" for the whole store
	Field    string // of field
	Host     string // of find
	Count    int    // entries of a list or find
	Unlock   bool   // the passphrase of the key may be asked for next
	Remember time.Duration
	Named    bool // see Request
}

// Request returns the question.
func (p *Pass) Request() Request {
	r := Request{
		Service: "pass", Qube: Printable(p.Qube, MaxText), Remember: p.Remember, Named: p.Named,
		Lines: []Line{{Text: fmt.Sprintf("Allow the qube %s to %s?", Printable(p.Qube, 64), p.deed())}},
	}
	fact := func(name, value string) {
		// Cut texts are equal too easily: a grant for one would help another.
		if len(Printable(value, MaxText)) > MaxText-8 {
			value = fmt.Sprintf("SHA-256 %x", sha256.Sum256([]byte(value)))
		}
		r.Subject = append(r.Subject, Fact{name, Printable(value, MaxText)})
	}
	line := func(label, text string) {
		r.Lines = append(r.Lines, Line{Label: label, Text: text})
	}
	// The client chose it.
	quoted := func(label, text string) {
		if text != "" {
			line(label, `"`+Printable(text, MaxText-2)+`"`)
		}
	}
	fact("verb", p.Verb)
	switch p.Verb {
	case "list":
		fact("scope", p.Entry)
		quoted("Below", p.Entry)
		line("Names", fmt.Sprint(p.Count))
	case "find":
		fact("host", p.Host)
		line("Entries", fmt.Sprint(p.Count))
	default:
		fact("entry", p.Entry)
		fact("field", p.Field)
		quoted("Entry", p.Entry)
		quoted("Field", p.Field)
	}
	if p.Unlock {
		line("Then", "the passphrase of the key may be asked for")
	}
	return r
}

// Notice tells of the use instead of asking for it.
func (p *Pass) Notice(allowed bool) Notice {
	text := p.deed()
	if p.Entry != "" {
		text += ": " + quoteEntry(p.Entry)
	}
	return Notice{Service: "pass", Qube: Printable(p.Qube, MaxText), Allowed: allowed, Text: text[:min(len(text), MaxText)]}
}

// deed is what a yes allows. The client chose the names: they come last, and quoted.
func (p *Pass) deed() string {
	switch p.Verb {
	case "list":
		return "see the names of password entries"
	case "find":
		return "see the logins for " + quote(p.Host)
	case "field":
		return "read a field of a password entry, " + quote(p.Field)
	case "otp":
		return "get a one-time code"
	case "show":
		return "READ A WHOLE PASSWORD ENTRY"
	case "insert":
		return "write a new password entry"
	case "generate":
		return "generate a new password"
	default:
		return "REPLACE A PASSWORD ENTRY"
	}
}

func quoteEntry(entry string) string { return `"` + Printable(entry, 120) + `"` }
