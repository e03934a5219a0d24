package auditlog_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/splitvault/splitvault/pkg/audit"
	"github.com/splitvault/splitvault/pkg/auditlog"
	"github.com/splitvault/splitvault/pkg/journal"
)

// vault writes a log, and hears the anchors as a journal would.
type vault struct {
	dir     string
	now     time.Time
	anchors []auditlog.Anchor
}

func newVault(tb testing.TB) *vault {
	tb.Helper()
	return &vault{dir: tb.TempDir(), now: time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)}
}

func (v *vault) state() string { return filepath.Join(v.dir, "splitvault") }

// call opens the log as one guard does, and writes n lines.
func (v *vault) call(tb testing.TB, most int64, n int) {
	tb.Helper()
	trail, err := audit.Open(audit.Options{Daemon: "ssh-guard", Cap: most, Now: v.tick, Getenv: func(key string) string {
		if key == "XDG_STATE_HOME" {
			return v.dir
		}
		return ""
	}})
	if err != nil {
		tb.Fatal(err)
	}
	defer trail.Close()
	log := logrus.New()
	log.SetOutput(new(bytes.Buffer))
	log.AddHook(v)
	trail.Attach(log)
	for i := range n {
		log.WithFields(logrus.Fields{journal.Qube: "work", journal.Count: i}).Info("signed")
	}
}

func (v *vault) tick() time.Time {
	v.now = v.now.Add(time.Second)
	return v.now
}

func (*vault) Levels() []logrus.Level { return logrus.AllLevels }

func (v *vault) Fire(e *logrus.Entry) error {
	if head, ok := e.Data[journal.AuditHead]; ok {
		v.anchors = append(v.anchors, auditlog.Anchors([]auditlog.Event{{
			Source: auditlog.FromJournal, Time: v.now, Fields: map[string]string{journal.AuditHead: fmt.Sprint(head)},
		}}, 0)...)
	}
	return nil
}

func (v *vault) verify(tb testing.TB) auditlog.Verdict {
	tb.Helper()
	files, busy, err := auditlog.Load(v.state())
	if err != nil || busy {
		tb.Fatal(err, busy)
	}
	return auditlog.Verify(files, v.anchors)
}

// edit changes the lines of a file, which it gets without their newlines.
func (v *vault) edit(tb testing.TB, n int, change func(lines [][]byte) [][]byte) {
	tb.Helper()
	path := audit.Path(v.state(), n)
	content, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	lines := change(bytes.Split(bytes.TrimSuffix(content, []byte("\n")), []byte("\n")))
	if err := os.WriteFile(path, append(bytes.Join(lines, []byte("\n")), '\n'), 0o600); err != nil {
		tb.Fatal(err)
	}
}

// rechain makes a chain of lines that do not fit, as a forger would.
func rechain(tb testing.TB, lines [][]byte) [][]byte {
	tb.Helper()
	var prev audit.Hash
	for i, raw := range lines {
		l, err := audit.Parse(raw)
		if err != nil {
			tb.Fatal(err)
		}
		if i > 0 {
			prev = hash(lines[i-1])
			l.Prev, l.Seq = prev, uint64(i+1)
		}
		lines[i] = l.Encode()
	}
	return lines
}
