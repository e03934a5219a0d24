package auditlog

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// WriteText says what was found, what it proves and what not.
func (v Verdict) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, number %d to %d, in %s, written %s to %s\n", plural(v.Lines, "line"), v.First, v.Last,
		plural(v.Files, "file"), v.From.Local().Format(time.DateTime), v.To.Local().Format(time.DateTime))
	if v.Fragments > 0 {
		fmt.Fprintf(&b, "%s cut off in the middle, as a kill, a full disk or a loss of power does it; this is part of the chain\n",
			plural(v.Fragments, "line"))
	}
	if v.Unrecorded > 0 {
		fmt.Fprintf(&b, "%s could not be written when they were due, as the file says; the journal had them\n", plural(v.Unrecorded, "line"))
	}
	for _, p := range v.Problems {
		fmt.Fprintf(&b, "PROBLEM  %s\n", Printable(p.String()))
	}
	b.WriteString(v.meaning())
	_, err := io.WriteString(w, b.String())
	return err
}

func (v Verdict) meaning() string {
	const root = "Whoever is root in this qube could have changed file and journal both.\n"
	switch {
	case len(v.Problems) > 0 && v.Anchors > 0:
		return fmt.Sprintf("The log is not as it was written. The newest line that the journal still vouches for is %d.\n", v.Anchored) +
			"After a loss of power the last lines may be gone without anybody's doing; nothing else excuses the above.\n"
	case len(v.Problems) > 0:
		return "The log is not as it was written, and the journal vouches for none of its lines.\n"
	case v.Anchors == 0:
		return "The lines fit together, so nothing was damaged by accident. More cannot be said: the journal has no\n" +
			"anchor for any of them, and without one a new chain cannot be told from the old.\n"
	}
	s := fmt.Sprintf("The journal has %s that fit, the last for line %d: lines %d to %d are as they were written.\n",
		plural(v.Anchors, "anchor"), v.Anchored, v.First, v.Anchored)
	if n := v.Last - v.Anchored; n > 0 {
		s += fmt.Sprintf("The last %s only fit together: a change or a cut there would not show.\n", plural(int(n), "line"))
	}
	return s + root
}

// Exit is 0 if the anchors vouch for the log, 1 if there is a problem, 2 if
// nothing can be told.
func (v Verdict) Exit() int {
	switch {
	case len(v.Problems) > 0:
		return 1
	case v.Anchors == 0:
		return 2
	default:
		return 0
	}
}

// plural is a number with its noun.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// WriteText writes for a person what a qube has received and what to replace.
// label names a key, or returns "".
func (x Exposure) WriteText(w io.Writer, label func(fingerprint string) string) error {
	t := text{label: label}
	t.head(x)
	t.shown(x.Shown)
	t.used(x.Used)
	t.refused(x)
	t.rotate(x)
	_, err := io.WriteString(w, t.String())
	return err
}

type text struct {
	strings.Builder
	label func(string) string
}

func (t *text) line(format string, args ...any) { fmt.Fprintf(t, format+"\n", args...) }

func (t *text) head(x Exposure) {
	qube := Printable(x.Qube)
	if x.Since.IsZero() {
		t.line("The log of this qube is empty.")
		return
	}
	t.line("What %s has received from this vault. The log reaches back to %s.", qube, x.Since.Local().Format(time.DateTime))
	if IsDisposable(x.Qube) {
		t.line("Disposables share names over time: this may be more than one of them.")
	}
	if x.Unnamed > 0 {
		t.line("%s of keys without the names of all: take every key that the rules let it see as shown.", plural(x.Unnamed, "list"))
	}
	if x.Missing > 0 {
		t.line("%s of this qube did not get into the audit file; what the journal still has of them is counted.", plural(x.Missing, "line"))
	}
}

func (t *text) key(fingerprint string) string {
	if name := t.label(fingerprint); name != "" {
		return Printable(fingerprint) + " (" + Printable(name) + ")"
	}
	return Printable(fingerprint)
}

func (t *text) shown(shown []Shown) {
	if len(shown) == 0 {
		return
	}
	t.line("\nPublic keys and accounts it was shown:")
	for _, s := range shown {
		t.line("  %s", t.key(s.Key))
		t.line("    %s", s.Span)
	}
}

func (t *text) used(used []Used) {
	if len(used) == 0 {
		t.line("\nNothing was signed for it or given to it.")
		return
	}
	t.line("\nWhat it got:")
	for _, u := range used {
		t.line("  %s", t.use(u.Use))
		t.line("    %s", u.Span)
	}
}

// use is one use on a line: what it was, then with what.
func (t *text) use(u Use) string {
	var parts []string
	add := func(name, v string) {
		if v != "" {
			parts = append(parts, strings.TrimSpace(name+" "+value(v)))
		}
	}
	add("", u.Service)
	add("", strings.Trim(u.Purpose, `"`))
	add("user", u.User)
	add("host", u.Host)
	if u.Trust != "" {
		parts = append(parts, "("+Printable(u.Trust)+")")
	}
	// The methods of an ssh agent are numbers; what they were is said above.
	if _, err := strconv.Atoi(u.Method); err != nil {
		add("", strings.Trim(u.Method, `"`))
	}
	add("origin", u.Origin)
	add("entry", u.Entry)
	add("field", u.Field)
	if u.Key != "" {
		parts = append(parts, "key "+t.key(u.Key))
	}
	return strings.Join(parts, " ")
}

// String says how often and when.
func (s Span) String() string {
	if s.Count == 1 {
		return "once, " + s.First.Local().Format(time.DateTime)
	}
	return fmt.Sprintf("%d times, %s to %s", s.Count, s.First.Local().Format(time.DateTime), s.Last.Local().Format(time.DateTime))
}

func (t *text) refused(x Exposure) {
	if x.Refused > 0 {
		t.line("\nRefused: %s.", plural(x.Refused, "request"))
	}
	if x.Suppressed > 0 {
		t.line("\nThere are more lines of it, %d that the log only counts. None of them gave it anything.", x.Suppressed)
	}
}

// isAccount tells an Ethereum account from a key's fingerprint.
func isAccount(key string) bool { return strings.HasPrefix(key, "0x") }

func (t *text) rotate(x Exposure) {
	keys, entries := x.Rotate()
	if len(keys)+len(entries) == 0 {
		return
	}
	t.line("\nIf %s was in the wrong hands:", Printable(x.Qube))
	if len(keys) > 0 {
		t.line("  The keys themselves did not leave the vault. What was signed with them remains valid: look on the hosts")
		t.line("  above for what was done there in these times (a login can leave a key of its own behind), and at")
		t.line("  everything signed. Replace a key where you cannot tell what its signatures were used for:")
		for _, k := range keys {
			t.line("    %s", t.key(k))
		}
	}
	if slices.ContainsFunc(keys, isAccount) {
		t.line("  A signed message of an account (a permit, an order) can be used later: end the approvals of these accounts.")
	}
	if len(entries) > 0 {
		t.line("  Change what these entries hold, it left the vault:")
		for _, e := range entries {
			t.line("    %s", Printable(e))
		}
	}
}
