package auditlog

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/splitvault/splitvault/pkg/journal"
)

// Printable makes any text fit for a terminal: all but printable ASCII is
// escaped.
func Printable(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		return s
	}
	quoted := strconv.QuoteToASCII(s)
	// Quotation marks and backslashes that were there are not doubled: what was
	// quoted when it was logged stays readable.
	return strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(quoted[1 : len(quoted)-1])
}

// value is a field's value on a line: quoted where it would not end at a space.
func value(s string) string {
	printable := Printable(s)
	if strings.HasPrefix(s, `"`) || !strings.ContainsAny(printable, " =") {
		return printable
	}
	return `"` + printable + `"`
}

// WriteText writes an event as one line for a person: local time, daemon,
// level where it is a warning or worse, the qube, the message with its reason, and
// the facts.
func (e Event) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s ", e.Time.Local().Format(time.DateTime), Printable(e.Daemon))
	if e.Level == "warning" || e.Level == "error" {
		fmt.Fprintf(&b, "%s: ", strings.ToUpper(e.Level))
	}
	if qube := e.Fields[journal.Qube]; qube != "" {
		fmt.Fprintf(&b, "%s: ", Printable(qube))
	}
	b.WriteString(Printable(e.Message))
	for _, name := range []string{journal.Cause, journal.Err} {
		if reason := e.Fields[name]; reason != "" {
			fmt.Fprintf(&b, ": %s", Printable(reason))
		}
	}
	for _, name := range journal.Fields() {
		switch name {
		case journal.Qube, journal.Cause, journal.Err, journal.AuditHead:
			continue
		}
		if v := e.Fields[name]; v != "" {
			fmt.Fprintf(&b, " %s=%s", name, value(v))
		}
	}
	b.WriteByte('\n')
	_, err := io.WriteString(w, b.String())
	return err
}
