package auditlog

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/splitvault/splitvault/pkg/audit"
	"github.com/splitvault/splitvault/pkg/journal"
)

// Span is how often something happened, and between when.
type Span struct {
	Count int       `json:"count"`
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
}

func (s *Span) add(t time.Time) {
	if s.Count == 0 || t.Before(s.First) {
		s.First = t
	}
	if t.After(s.Last) {
		s.Last = t
	}
	s.Count++
}

// Shown is a key that a qube was shown.
type Shown struct {
	Key string `json:"key"` // fingerprint
	Span
}

// Use is something that a qube got, as often as it was the same.
type Use struct {
	Service string `json:"service,omitempty"`
	Key     string `json:"key,omitempty"`
	Purpose string `json:"purpose,omitempty"`
	User    string `json:"user,omitempty"`
	Host    string `json:"host,omitempty"`
	Trust   string `json:"trust,omitempty"`
	Method  string `json:"method,omitempty"`
	Origin  string `json:"origin,omitempty"`
	Entry   string `json:"entry,omitempty"`
	Field   string `json:"field,omitempty"`
}

// Used is a Use with its times.
type Used struct {
	Use
	Span
}

// Exposure is what a qube has received, as far as the log reaches.
type Exposure struct {
	Qube       string    `json:"qube"`
	Since      time.Time `json:"since,omitzero"` // first line of the log, of any qube
	Shown      []Shown   `json:"keys_shown"`
	Used       []Used    `json:"used"`
	Refused    int       `json:"refused"`
	Unnamed    int       `json:"lists_without_names"` // keys were shown that the log does not name
	Suppressed int       `json:"suppressed"`          // lines left out, none of which gave anything
	Missing    int       `json:"missing"`             // lines that the file did not take and the journal no longer has
}

// Expose collects what a qube has received.
func Expose(events []Event, qube string) Exposure {
	x := Exposure{Qube: qube, Shown: []Shown{}, Used: []Used{}}
	shown, used := make(map[string]*Span), make(map[Use]*Span)
	for _, e := range events {
		if x.Since.IsZero() || e.Time.Before(x.Since) {
			x.Since = e.Time
		}
		if e.Fields[journal.Qube] == qube {
			x.add(e, shown, used)
		}
	}
	for key, span := range shown {
		x.Shown = append(x.Shown, Shown{key, *span})
	}
	slices.SortFunc(x.Shown, func(a, b Shown) int { return cmp.Or(a.First.Compare(b.First), cmp.Compare(a.Key, b.Key)) })
	for use, span := range used {
		x.Used = append(x.Used, Used{use, *span})
	}
	slices.SortFunc(x.Used, func(a, b Used) int {
		return cmp.Or(a.First.Compare(b.First), strings.Compare(a.Key+a.Host+a.Entry, b.Key+b.Host+b.Entry))
	})
	return x
}

func (x *Exposure) add(e Event, shown map[string]*Span, used map[Use]*Span) {
	f := e.Fields
	verdict := f[journal.Verdict]
	switch {
	case e.Message == audit.MessageListed:
		for key := range strings.FieldsSeq(f[journal.Key]) {
			count(shown, key, e.Time)
		}
		if f[journal.Key] == "" && f[journal.Count] != "0" || strings.HasSuffix(f[journal.Key], "…") {
			x.Unnamed++
		}
	case e.Message == audit.MessageSuppressed:
		x.Suppressed += number(f[journal.Count])
	case e.Message == audit.MessageMissing:
		x.Missing += number(f[journal.Count])
	case e.Level == "info" && (verdict == "allow" || verdict == "ask"):
		count(used, Use{
			f[journal.Service], f[journal.Key], f[journal.Purpose], f[journal.User], f[journal.Host], f[journal.Trust],
			f[journal.Method], f[journal.Origin], f[journal.Entry], f[journal.Field],
		}, e.Time)
	case verdict == "deny":
		x.Refused++
	}
}

func count[K comparable](m map[K]*Span, key K, t time.Time) {
	if m[key] == nil {
		m[key] = &Span{}
	}
	m[key].add(t)
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// Rotate names what to replace if the qube was in the wrong hands: the keys
// with which it got signatures, and the entries it read, each once.
func (x Exposure) Rotate() (keys, entries []string) {
	for _, u := range x.Used {
		if u.Key != "" && !slices.Contains(keys, u.Key) {
			keys = append(keys, u.Key)
		}
		// A one-time code is of no use a minute later, and its seed stayed.
		if u.Entry != "" && !u.isCode() && !slices.Contains(entries, u.Entry) {
			entries = append(entries, u.Entry)
		}
	}
	slices.Sort(keys)
	slices.Sort(entries)
	return keys, entries
}

func (u Use) isCode() bool {
	return strings.Trim(u.Method, `"`) == "otp" || strings.Trim(u.Field, `"`) == "otp"
}

// IsDisposable tells whether a qube has a name that dom0 gives to one
// disposable after another.
func IsDisposable(qube string) bool {
	digits, ok := strings.CutPrefix(qube, "disp")
	return ok && digits != "" && strings.Trim(digits, "0123456789") == ""
}
