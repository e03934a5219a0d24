package audit_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"
	"golang.org/x/sys/unix"

	"github.com/splitvault/splitvault/pkg/audit"
	"github.com/splitvault/splitvault/pkg/auditlog"
	"github.com/splitvault/splitvault/pkg/journal"
)

// logger is as journal.New makes one that has a journal.
func logger() (*logrus.Logger, *logtest.Hook) {
	log, sent := logtest.NewNullLogger()
	log.SetLevel(logrus.DebugLevel)
	return log, sent
}

func (p place) events(t *testing.T) []auditlog.Event {
	t.Helper()
	files, _, err := auditlog.Load(p.state())
	if err != nil {
		t.Fatal(err)
	}
	return auditlog.Events(files)
}

func TestOneCallReachesBoth(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	log, sent := logger()
	p.open(t, audit.Options{Qube: "work"}).Attach(log)
	log.WithFields(logrus.Fields{
		journal.Qube: "work", journal.Conn: 7, journal.Cause: errors.New("locked\n\x1b[0m"), journal.User: "", "password": "secret", journal.AuditHead: "forged",
	}).Warn("request denied")
	log.WithField(journal.Qube, "work").Debug("keys read")
	if n := len(sent.AllEntries()); n != 2 {
		t.Errorf("%d entries for the journal", n)
	}
	events := p.events(t)
	if len(events) != 2 {
		t.Fatalf("%d lines", len(events))
	}
	e := events[1]
	if got := fmt.Sprint(e.Daemon, " ", e.Level, " ", e.Message, " ", e.Fields); got !=
		"ssh-guard warning request denied map[cause:locked\n\x1b[0m conn:7 qube:work]" {
		t.Errorf("got %q", got)
	}
	if content := p.content(t); strings.Contains(string(content), "secret") || strings.Contains(string(content), "forged") {
		t.Errorf("%s", content)
	}
}

// The head goes out with the line it is of; that of a first line with the next.
func TestAnchorsGoToTheJournal(t *testing.T) {
	t.Parallel()
	p, c := newPlace(t), newClock()
	log, sent := logger()
	p.open(t, audit.Options{Now: c.now}).Attach(log)
	for range 150 {
		log.Info("call opened")
	}
	c.t = c.t.Add(time.Hour)
	log.Info("call opened")
	var anchors []auditlog.Anchor
	for _, e := range sent.AllEntries() {
		if head, ok := e.Data[journal.AuditHead].(string); ok {
			anchors = append(anchors, auditlog.Anchors([]auditlog.Event{{
				Source: auditlog.FromJournal, Time: e.Time, Fields: map[string]string{journal.AuditHead: head},
			}}, 0)...)
		}
	}
	files, _, err := auditlog.Load(p.state())
	if err != nil {
		t.Fatal(err)
	}
	v := auditlog.Verify(files, anchors)
	if len(anchors) != 3 || v.Anchors != 3 || v.Anchored != 152 || len(v.Problems) != 0 {
		t.Errorf("anchors %v, verdict %+v", anchors, v)
	}
}

func TestAFloodOfDenialsIsCountedAndAllowsAreNot(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	deny := func(log *logrus.Logger, n int) {
		for range n {
			log.WithFields(logrus.Fields{journal.Qube: "work", journal.Verdict: "deny"}).Warn("request denied")
		}
	}
	log, sent := logger()
	p.open(t, audit.Options{Qube: "work"}).Attach(log)
	deny(log, 200)
	// The counters are the qube's, not the process's.
	log2, sent2 := logger()
	second := p.open(t, audit.Options{Qube: "work"})
	second.Attach(log2)
	deny(log2, 5000)
	for _, verdict := range []string{"allow", "ask"} {
		for range 50 {
			log2.WithFields(logrus.Fields{journal.Qube: "work", journal.Verdict: verdict}).Info("signed")
		}
	}
	counts := map[string]int{}
	for _, e := range p.events(t) {
		counts[e.Message]++
	}
	if counts["request denied"] < 300 || counts["request denied"] > 302 || counts["signed"] != 100 || counts[audit.MessageFlood] != 1 {
		t.Errorf("the file has %v", counts)
	}
	if n := len(sent.AllEntries()) + len(sent2.AllEntries()); n != len(p.events(t))-1 {
		t.Errorf("the journal has %d lines, the file %d", n, len(p.events(t)))
	}
	// Another qube is not touched by it.
	log3, sent3 := logger()
	p.open(t, audit.Options{Qube: "other"}).Attach(log3)
	deny(log3, 10)
	if n := len(sent3.AllEntries()); n != 10 {
		t.Errorf("of another qube there are %d lines", n)
	}
}

func TestAllowsInTheFloodOfFailuresAreNotGiven(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	log, _ := logger()
	p.open(t, audit.Options{Qube: "work"}).Attach(log)
	for range 1000 { // a rule allows it, the agent is locked
		log.WithFields(logrus.Fields{journal.Qube: "work", journal.Verdict: "allow"}).Error("request failed")
	}
	if n := len(p.events(t)); n > 310 {
		t.Errorf("%d lines", n)
	}
}

func TestWhatAQubeIsShownIsLoggedInAFloodToo(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	log, _ := logger()
	p.open(t, audit.Options{Qube: "work"}).Attach(log)
	for range 1000 {
		log.WithField(journal.Qube, "work").Info("call opened")
	}
	for range 10 {
		for _, keys := range []string{"SHA256:a", "SHA256:a SHA256:b"} {
			log.WithFields(logrus.Fields{journal.Qube: "work", journal.Key: keys}).Info(audit.MessageListed)
		}
	}
	shown := auditlog.Expose(p.events(t), "work").Shown
	if len(shown) != 2 || shown[0].Count != 2 || shown[1].Count != 1 {
		t.Errorf("%+v", shown)
	}
}

// What no file and no journal has taken must not be handed out.
func TestAnAllowThatIsWrittenNowhereIsLost(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name          string
		file, journal bool
		lost          bool
	}{
		{"both", true, true, false},
		{"only the file", true, false, false},
		{"only the journal", false, true, false},
		{"neither", false, false, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			if !row.file {
				if err := os.WriteFile(p.state(), nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			log := logrus.New()
			log.SetOutput(io.Discard)
			if row.journal {
				log.AddHook(new(logtest.Hook))
			}
			trail, err := audit.Open(audit.Options{Daemon: "ssh-guard", Qube: "work", Getenv: p.getenv})
			if (err == nil) != row.file {
				t.Fatal(err)
			}
			defer trail.Close()
			trail.Attach(log)
			log.WithField(journal.Verdict, "deny").Warn("request denied")
			if err := trail.Lost(); err != nil {
				t.Errorf("a denial needs no record: %v", err)
			}
			log.WithField(journal.Verdict, "allow").Info("signed")
			if err := trail.Lost(); (err != nil) != row.lost {
				t.Errorf("got %v", err)
			}
		})
	}
}

// A gap is said in the journal at once, and in the file when it takes lines
// again, by whichever process comes then.
func TestAGapInTheFileIsSaid(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	log, sent := logger()
	trail := p.open(t, audit.Options{Qube: "work"})
	trail.Attach(log)
	held, err := os.Open(p.newest())
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if err := unix.Flock(int(held.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		log.WithField(journal.Qube, "work").Info("signed")
	}
	trail.Close()
	held.Close()
	entries := sent.AllEntries()
	if len(entries) != 3 || entries[0].Level != logrus.ErrorLevel || !errors.Is(entries[0].Data[journal.Err].(error), audit.ErrBusy) {
		t.Errorf("the journal has %d lines, the first %v", len(entries), entries[0])
	}
	log, _ = logger()
	p.open(t, audit.Options{Qube: "work"}).Attach(log)
	for range 2 {
		log.WithField(journal.Qube, "work").Info("signed")
	}
	events := p.events(t)
	if len(events) != 4 || events[1].Message != audit.MessageMissing || events[1].Fields[journal.Count] != "2" {
		t.Errorf("%+v", events)
	}
	if v := p.whole(t); v.Unrecorded != 2 {
		t.Errorf("%d lines are said to be missing", v.Unrecorded)
	}
}

func TestWithoutARuntimeDirectoryAProcessCountsForItself(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	if err := os.Remove(filepath.Join(p.dir, "run")); err != nil {
		t.Fatal(err)
	}
	log, sent := logger()
	trail, err := audit.Open(audit.Options{Daemon: "ssh-guard", Qube: "work", Getenv: p.getenv})
	if err == nil || errors.Is(err, audit.ErrNoFile) {
		t.Errorf("got %v", err)
	}
	defer trail.Close()
	trail.Attach(log)
	for range 1000 {
		log.WithField(journal.Qube, "work").Warn("request denied")
	}
	if n := len(sent.AllEntries()); n < 300 || n > 310 {
		t.Errorf("%d lines", n)
	}
}
