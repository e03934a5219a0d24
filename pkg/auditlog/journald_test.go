package auditlog_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/splitvault/splitvault/pkg/auditlog"
	"github.com/splitvault/splitvault/pkg/journal"
	"github.com/splitvault/splitvault/test/stub"
)

// journalctl is a program that stands for the real one.
func journalctl(t *testing.T, script string) auditlog.Journal {
	t.Helper()
	path := filepath.Join(t.TempDir(), "journalctl")
	stub.Script(t, path, script)
	return auditlog.Journal{Command: path}
}

const entry = `{"__CURSOR":"s=1;i=%d","__REALTIME_TIMESTAMP":"1795317300999999","_SOURCE_REALTIME_TIMESTAMP":"1795317300123456","PRIORITY":"4","_UID":"1000",` +
	`"SYSLOG_IDENTIFIER":"splitvault-ssh-guard","MESSAGE":"request denied: no rule","SPLITVAULT_QUBE":"work","SPLITVAULT_CAUSE":"no rule",` +
	`"SPLITVAULT_AUDIT_HEAD":"17:` + "%064d" + `","SPLITVAULT_PASSWORD":"x"}`

func TestEntriesOfTheJournal(t *testing.T) {
	t.Parallel()
	j := journalctl(t, `printf '%s\n' "$*" >&2
cat <<'EOT'
not JSON
{"SYSLOG_IDENTIFIER":"splitvault-ssh-guard","MESSAGE":"no time"}
{"__REALTIME_TIMESTAMP":"1","SYSLOG_IDENTIFIER":"sshd","MESSAGE":"another program"}
{"__REALTIME_TIMESTAMP":"1","SYSLOG_IDENTIFIER":"splitvault-ssh-guard-2","MESSAGE":"another program"}
`+fmt.Sprintf(entry, 1, 5)+`
{"__CURSOR":"s=1;i=2","__REALTIME_TIMESTAMP":"1795317301000000","SYSLOG_IDENTIFIER":"splitvault-ssh-guard","MESSAGE":["twice","x"],"SPLITVAULT_KEY":[1,2],"SPLITVAULT_ERR":null}
EOT
`)
	events, cursor, err := j.Read(t.Context(), time.Time{})
	if err != nil || len(events) != 2 || cursor != "s=1;i=2" {
		t.Fatalf("%v, %q, %v", events, cursor, err)
	}
	e := events[0]
	if e.Message != "request denied" || e.Level != "warning" || e.Daemon != "ssh-guard" || len(e.Fields) != 3 || e.Time.UnixMicro() != 1795317300123456 {
		t.Errorf("%+v", e)
	}
	if a := auditlog.Anchors(events, 1000); len(a) != 1 || a[0].Seq != 17 || a[0].Hash != fmt.Sprintf("%064d", 5) {
		t.Errorf("%+v", a)
	}
	// Root reads those of clef-net, too, whose files are others.
	for _, other := range []int{0, 999, -1} {
		if a := auditlog.Anchors(events, other); len(a) != 0 {
			t.Errorf("user %d has anchors of another: %+v", other, a)
		}
	}
}

func TestAJournalThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for name, j := range map[string]auditlog.Journal{
		"not there":         {Command: "/nonexistent/journalctl"},
		"no permission":     journalctl(t, "echo 'No journal files were opened\x1b[0m' >&2; exit 1"),
		"killed":            journalctl(t, "kill -9 $$"),
		"a line of 2 MB":    journalctl(t, "head -c 2000000 /dev/zero | tr '\\0' a; sleep 60"),
		"chatty on stderr":  journalctl(t, "head -c 200000 /dev/zero | tr '\\0' a >&2; exit 3"),
		"an entry and exit": journalctl(t, "echo '"+fmt.Sprintf(entry, 1, 5)+"'; exit 1"),
	} {
		_, _, err := j.Read(t.Context(), time.Time{})
		if !errors.Is(err, auditlog.ErrNoJournal) || strings.ContainsRune(err.Error(), '\x1b') || len(err.Error()) > 5000 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAJournalThatHangsIsLeft(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, _, err := journalctl(t, "exec sleep 60").Read(ctx, time.Time{})
	if err == nil || time.Since(start) > 5*time.Second {
		t.Errorf("%v after %v", err, time.Since(start))
	}
}

func at(second int, source auditlog.Source, message string) auditlog.Event {
	return auditlog.Event{
		Time: time.Unix(int64(1_795_317_300+second), 0), Source: source, Daemon: "ssh-guard", Level: "info", Message: message,
		Fields: map[string]string{journal.Qube: "work"},
	}
}

func TestTwoCopiesOfAnEventAreOne(t *testing.T) {
	t.Parallel()
	const f, j = auditlog.FromFile, auditlog.FromJournal
	file := []auditlog.Event{at(10, f, "a"), at(20, f, "a"), at(5, f, "clock set back"), at(40, f, "a")}
	journald := []auditlog.Event{
		at(1, j, "only the journal"), at(10, j, "a"), at(20, j, "a"), at(20, j, "a"), at(30, j, "a"), at(41, j, "a"), at(50, j, "later"),
	}
	journald[1].Fields = map[string]string{journal.Qube: "work", journal.AuditHead: "1:00"}
	var got []string
	for _, e := range auditlog.Merge(file, journald) {
		got = append(got, fmt.Sprintf("%d%s %s", e.Time.Unix()-1_795_317_300, string(e.Source[0]), e.Message))
	}
	want := "1j only the journal, 10f a, 20f a, 5f clock set back, 20j a, 30j a, 40f a, 50j later"
	if s := strings.Join(got, ", "); s != want {
		t.Errorf("got  %s\nwant %s", s, want)
	}
}

func TestAMergerThatRunsForWeeksForgets(t *testing.T) {
	t.Parallel()
	m := auditlog.NewMerger()
	m.New(at(1, auditlog.FromFile, "a"))
	m.Forget(time.Unix(1_795_317_300+2, 0))
	if !m.New(at(2, auditlog.FromJournal, "a")) {
		t.Error("it did not")
	}
}

func TestNoControlCharacterReachesTheTerminal(t *testing.T) {
	t.Parallel()
	const hostile = "x\x1b]0;owned\a\n\u202e\u009b31m\x7f\xff = \"q\" \\n"
	e := at(1, auditlog.FromJournal, hostile)
	e.Daemon, e.Level = hostile, "warning"
	for _, name := range journal.Fields() {
		e.Fields[name] = hostile
	}
	verdict := auditlog.Verdict{Problems: []auditlog.Problem{{File: hostile, Text: hostile}}}
	e.Fields[journal.Verdict] = "allow"
	allowed := e
	allowed.Level = "info"
	exposure := auditlog.Expose([]auditlog.Event{allowed}, hostile)
	var b strings.Builder
	if err := errors.Join(e.WriteText(&b), verdict.WriteText(&b), exposure.WriteText(&b, func(string) string { return hostile })); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(b.String()) {
		if strings.ContainsFunc(strings.TrimSuffix(line, "\n"), func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("%q", line)
		}
		if strings.HasPrefix(line, "\u202e") {
			t.Errorf("a value begins a line: %q", line)
		}
	}
	if json, err := allowed.MarshalJSON(); err != nil || strings.ContainsAny(string(json), "\x1b\a\n") {
		t.Errorf("%q, %v", json, err)
	}
}

func TestSince(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 15, 4, 5, 0, time.Local)
	for text, want := range map[string]string{
		"90m": "2026-11-22 13:34:05", "7d": "2026-11-15 15:04:05", "today": "2026-11-22 00:00:00", "yesterday": "2026-11-21 00:00:00",
		"2026-11-01": "2026-11-01 00:00:00", "2026-11-01 12:30": "2026-11-01 12:30:00",
	} {
		if got, err := auditlog.ParseSince(text, now); err != nil || got.Format(time.DateTime) != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"-1h", "soon", "999999999d", "2026-13-01", "1"} {
		if got, err := auditlog.ParseSince(text, now); err == nil {
			t.Errorf("%s: %v", text, got)
		}
	}
}
