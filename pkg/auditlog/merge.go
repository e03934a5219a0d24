package auditlog

import (
	"slices"
	"time"
)

// together is how far the two copies of one event may be apart in time: a
// daemon writes them one after the other, and may wait for the file.
const together = 2 * time.Second

// Merger lets each event pass once, whichever source it comes from first.
type Merger struct {
	waiting map[string][]Event // those of which the other copy may still come
}

// NewMerger returns an empty Merger.
func NewMerger() *Merger { return &Merger{waiting: make(map[string][]Event)} }

// New tells whether an event has not been seen from the other source.
func (m *Merger) New(e Event) bool {
	id := e.identity()
	for i, w := range m.waiting[id] {
		if w.Source != e.Source && w.Time.Sub(e.Time).Abs() <= together {
			m.waiting[id] = slices.Delete(m.waiting[id], i, i+1)
			if len(m.waiting[id]) == 0 {
				delete(m.waiting, id)
			}
			return false
		}
	}
	m.waiting[id] = append(m.waiting[id], e)
	return true
}

// Forget drops what is older than before, so that a Merger that runs for weeks
// does not grow.
func (m *Merger) Forget(before time.Time) {
	for id, events := range m.waiting {
		events = slices.DeleteFunc(events, func(e Event) bool { return e.Time.Before(before) })
		if len(events) == 0 {
			delete(m.waiting, id)
			continue
		}
		m.waiting[id] = events
	}
}

// Merge returns the events of the file, and those of the journal that the file
// does not have, by time. The file's order stands also where the clock was set.
func Merge(file, journal []Event) []Event {
	m := NewMerger()
	for _, e := range file {
		m.New(e)
	}
	only := make([]Event, 0, len(journal))
	for _, e := range journal {
		if m.New(e) {
			only = append(only, e)
		}
	}
	merged := make([]Event, 0, len(file)+len(only))
	for len(file) > 0 && len(only) > 0 {
		from := &file
		if only[0].Time.Before(file[0].Time) {
			from = &only
		}
		merged = append(merged, (*from)[0])
		*from = (*from)[1:]
	}
	return append(append(merged, file...), only...)
}
