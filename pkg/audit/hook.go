package audit

import (
	"fmt"
	"strconv"

	"github.com/sirupsen/logrus"

	"github.com/splitvault/splitvault/pkg/journal"
)

// Attach makes every line of a logger from journal.New, of level info and
// above, a line of the audit file too. From then on the log stands in front of
// the journal: lines that are too many for one qube reach neither, and anchors go
// out with the lines.
func (l *Log) Attach(log *logrus.Logger) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = writesText(log)
	l.inner = log.ReplaceHooks(make(logrus.LevelHooks))
	log.AddHook(hook{l})
}

type hook struct{ log *Log }

func (hook) Levels() []logrus.Level { return logrus.AllLevels }

// Fire never fails: logrus would print the error, which a guard's client sees.
func (h hook) Fire(e *logrus.Entry) error {
	l := h.log
	l.mu.Lock()
	defer l.mu.Unlock()
	if e.Level > logrus.InfoLevel {
		l.forward(e)
		return nil
	}
	if l.flood == nil {
		l.write(e, nil)
		return nil
	}
	a := l.flood.admit(kindOf(e), fmt.Sprint(e.Data[journal.Key]))
	switch {
	case a.begins:
		l.write(l.own(e, MessageFlood, 0), nil)
	case a.write:
		var before []*logrus.Entry
		if a.missing > 0 && l.file != nil {
			before = append(before, l.own(e, MessageMissing, a.missing))
		}
		if a.suppressed > 0 {
			before = append(before, l.own(e, MessageSuppressed, a.suppressed))
		}
		if recorded := l.write(e, before); recorded && a.missing > 0 {
			l.flood.found(a.missing)
		}
	}
	return nil
}

// kindOf is always for an allow: what a qube got is never left out.
func kindOf(e *logrus.Entry) kind {
	switch {
	case e.Message == MessageListed:
		return listing
	case isAllow(e):
		return always
	default:
		return limited
	}
}

// isAllow tells whether something was given: denials are warnings, failures
// errors. What a person allowed has the verdict of its rule, which is ask.
func isAllow(e *logrus.Entry) bool {
	verdict := fmt.Sprint(e.Data[journal.Verdict])
	return e.Level == logrus.InfoLevel && (verdict == "allow" || verdict == "ask")
}

// own makes a line of this package's, in the context of another.
func (l *Log) own(e *logrus.Entry, message string, count uint64) *logrus.Entry {
	data := logrus.Fields{}
	for _, name := range []string{journal.Service, journal.Qube, journal.Conn} {
		if v, ok := e.Data[name]; ok {
			data[name] = v
		}
	}
	if count > 0 {
		data[journal.Count] = strconv.FormatUint(count, 10)
	}
	return &logrus.Entry{Logger: e.Logger, Data: data, Time: e.Time, Level: logrus.WarnLevel, Message: message}
}

// write brings a line, and what is to be said before it, to the file and to the
// journal. It tells whether the file took it.
func (l *Log) write(e *logrus.Entry, before []*logrus.Entry) (recorded bool) {
	lines := append(before, e)
	events := make([]event, 0, len(lines))
	for _, line := range lines {
		events = append(events, eventOf(line.Data, line.Message, line.Level))
	}
	err := l.record(events...)
	if err != nil {
		l.complain(e, err)
		if isAllow(e) && len(l.inner[e.Level]) == 0 && !l.text {
			l.lost = fmt.Errorf("an allow that is written down nowhere: %w", err)
		}
	}
	if l.head != "" {
		e.Data[journal.AuditHead] = l.head
		l.head = ""
	}
	for _, line := range lines {
		if err != nil && line.Message == MessageMissing {
			continue // it is about the file, and is not there
		}
		l.forward(line)
	}
	return err == nil
}

// complain says in the journal that the file has a gap, once for a process.
func (l *Log) complain(e *logrus.Entry, err error) {
	if l.flood != nil {
		l.flood.missed()
	}
	if l.told {
		return
	}
	l.told = true
	c := l.own(e, "audit file not written: the journal alone has this and perhaps more", 0)
	c.Level = logrus.ErrorLevel
	c.Data[journal.Err] = err
	l.forward(c)
}

// forward hands a line to the journal, which has its own bound for waiting.
func (l *Log) forward(e *logrus.Entry) { _ = l.inner.Fire(e.Level, e) }
