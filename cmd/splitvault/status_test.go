package main

import (
	"strings"
	"testing"
	"time"

	"github.com/splitvault/splitvault/pkg/auditlog"
	"github.com/splitvault/splitvault/pkg/consent"
	"github.com/splitvault/splitvault/pkg/journal"
	"github.com/splitvault/splitvault/pkg/status"
)

func TestStatusShowsTheLastRefusalsOnly(t *testing.T) {
	now := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	event := func(ago time.Duration, level, message string, fields ...string) auditlog.Event {
		e := auditlog.Event{Time: now.Add(-ago), Daemon: "ssh-guard", Level: level, Message: message, Fields: map[string]string{}}
		for i := 0; i < len(fields); i += 2 {
			e.Fields[fields[i]] = fields[i+1]
		}
		return e
	}
	events := []auditlog.Event{event(25*time.Hour, "warning", "refused", journal.Verdict, "deny")}
	for range lastRefusals {
		events = append(
			events,
			event(time.Hour, "warning", "refused", journal.Verdict, "deny"),
			event(time.Hour, "info", "signed", journal.Verdict, "allow"),
		)
	}
	events = append(events, event(time.Minute, "warning", "call failed", journal.Cause, "refused"))
	got := refusals(events, now)
	if len(got) != lastRefusals || got[lastRefusals-1].Message != "call failed" || got[0].Time.Before(now.Add(-2*time.Hour)) {
		t.Errorf("got %v", got)
	}
}

func TestStatusIsOneScreen(t *testing.T) {
	o := overview{
		Client: []status.Service{
			{Name: "ssh", On: true, Calls: 1, Sockets: []status.Socket{{Unit: "splitvault-ssh.socket", State: "active", Connections: 2, Accepted: 17, Refused: 3}}},
			{Name: "clef"},
		},
		Callers: []status.Caller{{Qube: "work", Service: "pass", Calls: 2}},
		Holds:   []consent.Hold{{Kind: consent.KindPause, Qube: "mail"}},
		Unknown: []string{"no bus"},
	}
	var b strings.Builder
	if err := o.writeText(&b); err != nil {
		t.Fatal(err)
	}
	const want = `ssh   on; connections now: 2, so far: 17; waiting for the vault: 1; turned away: 3
clef  off as a client
work has calls of pass open: 2
No grants: every prompt is asked.
mail: paused until it is ended
Nothing was refused in a day, as far as the logs can be read.
Not found out: no bus
`
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}
