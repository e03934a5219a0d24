package audit

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/splitvault/splitvault/pkg/journal"
	"github.com/splitvault/splitvault/pkg/rundir"
)

// Levels as they stand in the file.
const (
	levelError   = "error"
	levelWarning = "warning"
	levelInfo    = "info"
)

// Options say for whom a log is opened.
type Options struct {
	Daemon string // "ssh-guard"
	// Qube is the client whose requests are logged; its lines are limited. Empty
	// for a daemon that serves no client.
	Qube   string
	Getenv func(string) string
	// Cap is the size in bytes at which the file is rotated; 0: DefaultCap.
	Cap int64
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// Log is the audit file, as one process sees it. Its methods may be called by
// several goroutines.
type Log struct {
	daemon string
	mu     sync.Mutex
	file   *file // nil: cannot be written
	reason error // why not
	flood  *flood
	inner  logrus.LevelHooks
	text   bool   // the logger itself writes
	head   string // an anchor that the journal is to get
	lost   error
	told   bool
}

// ErrNoFile says that there is no audit file to write to.
var ErrNoFile = errors.New("no audit file")

// Open opens the audit file, and rotates it where that is due. It must be
// called before the process confines itself; afterwards a Log needs no more than
// pread64, write, pwrite64, fstat, flock, clock_gettime, sleeping and close.
//
// The Log is never nil. An error says what is wrong and belongs into the journal:
// mostly that there is no file, so that Record fails and the attached logger
// writes to the journal alone.
func Open(o Options) (*Log, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Cap == 0 {
		o.Cap = DefaultCap
	}
	l := &Log{daemon: o.Daemon}
	var trouble []error
	if o.Qube != "" {
		var err error
		if l.flood, err = openFlood(rundir.Base(o.Getenv), o.Qube, sinceStart); err != nil {
			trouble = append(trouble, err)
		}
	}
	dir, err := Dir(o.Getenv)
	if err == nil {
		var rotation error
		l.file, l.head, rotation, err = openAudit(dir, o.Daemon, o.Cap, o.Now)
		trouble = append(trouble, rotation)
	}
	if err != nil {
		l.reason = fmt.Errorf("%w: %w", ErrNoFile, err)
		trouble = append(trouble, l.reason)
	}
	return l, errors.Join(trouble...)
}

// Close closes the files. It is safe to call it more than once.
func (l *Log) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil {
		l.file.Close()
		l.file, l.reason = nil, fmt.Errorf("%w: closed", ErrNoFile)
	}
	if l.flood != nil {
		l.flood.close()
		l.flood = nil
	}
}

// Record writes one line to the file, whatever the qube's other lines are, and
// nothing to the journal. Fields that package journal does not know are left out.
func (l *Log) Record(fields logrus.Fields, message string, level logrus.Level) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.record(eventOf(fields, message, level))
}

// record writes lines with one wait for the lock.
func (l *Log) record(events ...event) error {
	if l.file == nil {
		return l.reason
	}
	if err := lock(l.file.fd, Patience); err != nil {
		return fmt.Errorf("writing to the audit file: %w", err)
	}
	defer unlock(l.file.fd)
	head, err := l.file.append(events...)
	if head != "" {
		l.head = head
	}
	return err
}

// Lost returns an error once an allow was written nowhere: the file did not
// take it and the logger has no journal. A guard that has said so must not hand
// out what was allowed.
func (l *Log) Lost() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost
}

func eventOf(fields logrus.Fields, message string, level logrus.Level) event {
	return event{levelName(level), message, values(fields)}
}

func levelName(level logrus.Level) string {
	switch {
	case level <= logrus.ErrorLevel:
		return levelError
	case level == logrus.WarnLevel:
		return levelWarning
	default:
		return levelInfo
	}
}

// values are the fields as text; only those that package journal knows.
func values(fields logrus.Fields) map[string]string {
	out := make(map[string]string, len(fields))
	for _, name := range journal.Fields() {
		if v, ok := fields[name]; ok && name != journal.AuditHead {
			if text := clean(fmt.Sprint(v)); text != "" {
				out[name] = text
			}
		}
	}
	return out
}

// writesText tells whether a logger writes text by itself.
func writesText(log *logrus.Logger) bool {
	f, ok := log.Out.(*os.File)
	return ok && f != nil
}
