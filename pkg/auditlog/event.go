package auditlog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/splitvault/splitvault/pkg/audit"
	"github.com/splitvault/splitvault/pkg/journal"
)

// Source says where an event was read.
type Source string

// The two sources.
const (
	FromFile    Source = "file"
	FromJournal Source = "journal"
)

// Event is one line of the log.
type Event struct {
	Time    time.Time
	Seq     uint64 // 0 for one that only the journal has
	Daemon  string // "ssh-guard"
	Level   string // "error", "warning", "info" or "debug"
	Message string
	Fields  map[string]string // by the names of package journal
	Source  Source
	UID     int // of the process, by journald's word; -1 where it has none
}

// Events returns the whole lines of the files, in the order of the files.
func Events(files []File) []Event {
	var events []Event
	for _, f := range files {
		for _, line := range f.lines() {
			if line.ok {
				events = append(events, fromLine(line.Line))
			}
		}
	}
	return events
}

func fromLine(l audit.Line) Event {
	return Event{l.Time, l.Seq, l.Daemon, l.Level, l.Message, l.Fields, FromFile, -1}
}

// identity is what an event has in common in the file and in the journal.
func (e Event) identity() string {
	var b strings.Builder
	b.WriteString(e.Daemon)
	b.WriteByte(0)
	b.WriteString(e.Message)
	for _, name := range journal.Fields() {
		if value := e.Fields[name]; value != "" && name != journal.AuditHead {
			b.WriteByte(0)
			b.WriteString(name)
			b.WriteByte('=')
			b.WriteString(value)
		}
	}
	return b.String()
}

// MarshalJSON writes an event with the keys of the audit file, in its order.
func (e Event) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	add := func(key string, value any) error {
		text, err := json.Marshal(value)
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%c%q:%s", separator(&b), key, text)
		return nil
	}
	pairs := []struct {
		key   string
		value any
	}{
		{"time", e.Time.UTC()}, {"seq", e.Seq}, {"daemon", e.Daemon}, {"level", e.Level}, {"message", e.Message},
	}
	for _, name := range journal.Fields() {
		if value := e.Fields[name]; value != "" {
			pairs = append(pairs, struct {
				key   string
				value any
			}{name, value})
		}
	}
	for _, p := range pairs {
		if p.key == "seq" && e.Seq == 0 {
			continue
		}
		if err := add(p.key, p.value); err != nil {
			return nil, err
		}
	}
	if err := add("source", e.Source); err != nil {
		return nil, err
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

func separator(b *bytes.Buffer) byte {
	if b.Len() == 0 {
		return '{'
	}
	return ','
}
