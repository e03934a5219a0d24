package auditlog

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/splitvault/splitvault/pkg/journal"
)

// Filter chooses events. Empty fields choose all.
type Filter struct {
	Qube    string
	Service string // "ssh", "clef", "pass", or a service of qrexec: "qubes.Ssh"
	Since   time.Time
}

// Match tells whether an event is chosen.
func (f Filter) Match(e Event) bool {
	if f.Qube != "" && e.Fields[journal.Qube] != f.Qube {
		return false
	}
	if f.Service != "" && e.Fields[journal.Service] != f.Service && !strings.HasPrefix(e.Daemon, f.Service+"-") {
		return false
	}
	return !e.Time.Before(f.Since)
}

// Select returns the events that a filter chooses.
func (f Filter) Select(events []Event) []Event {
	var chosen []Event
	for _, e := range events {
		if f.Match(e) {
			chosen = append(chosen, e)
		}
	}
	return chosen
}

// ParseSince reads a point in time in the past: "90m", "36h", "7d", "today",
// "yesterday", or a local date, with or without a time.
func ParseSince(s string, now time.Time) (time.Time, error) {
	midnight := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, now.Location())
	switch s {
	case "":
		return time.Time{}, nil
	case "today":
		return midnight, nil
	case "yesterday":
		return midnight.AddDate(0, 0, -1), nil
	}
	if m := regexp.MustCompile(`^([0-9]{1,5})d$`).FindStringSubmatch(s); m != nil {
		days, err := strconv.Atoi(m[1])
		return now.AddDate(0, 0, -days), err
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.DateOnly, "2006-01-02 15:04", time.DateTime, time.RFC3339} {
		if t, err := time.ParseInLocation(layout, s, now.Location()); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("reading the time %q: want 90m, 36h, 7d, today, yesterday, 2026-11-22 or \"2026-11-22 03:15\"", s)
}
