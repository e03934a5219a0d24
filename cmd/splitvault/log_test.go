package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	gossh "golang.org/x/crypto/ssh"

	"github.com/splitvault/splitvault/pkg/audit"
	"github.com/splitvault/splitvault/pkg/journal"
	"github.com/splitvault/splitvault/test/stub"
)

// logged is a vault with a log of its own, and a journalctl that prints what the
// test says. Lines are written as a guard writes them.
type logged struct {
	journal string // file that journalctl prints
	log     *logrus.Logger
}

func newLogged(t *testing.T) *logged {
	t.Helper()
	dir := t.TempDir()
	l := &logged{journal: filepath.Join(dir, "entries"), log: logrus.New()}
	t.Setenv("XDG_STATE_HOME", dir)
	t.Setenv("HOME", dir)
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	script := "set -eu\ncase $* in *--follow*) exec tail -n 0 -f " + l.journal + ";; esac\nexec cat " + l.journal
	stub.Script(t, filepath.Join(dir, "journalctl"), script)
	l.log.SetOutput(io.Discard)
	l.log.AddHook(l)
	if err := os.WriteFile(l.journal, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	trail, err := audit.Open(audit.Options{Daemon: "ssh-guard", Getenv: os.Getenv})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(trail.Close)
	trail.Attach(l.log)
	return l
}

func (*logged) Levels() []logrus.Level { return logrus.AllLevels }

// Fire writes an entry as journalctl --output=json would show it.
func (l *logged) Fire(e *logrus.Entry) error {
	entry := map[string]string{
		"__CURSOR": "s=1", "__REALTIME_TIMESTAMP": fmt.Sprint(e.Time.UnixMicro()), "PRIORITY": "6", "_UID": strconv.Itoa(os.Getuid()),
		"SYSLOG_IDENTIFIER": "splitvault-ssh-guard", "MESSAGE": e.Message,
	}
	for name, value := range e.Data {
		entry["SPLITVAULT_"+strings.ToUpper(name)] = fmt.Sprint(value)
	}
	text, err := json.Marshal(entry)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(l.journal, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.Write(append(text, '\n'))
	return err
}

func (l *logged) signed(qube, host string) {
	l.log.WithFields(logrus.Fields{
		journal.Service: "qubes.Ssh", journal.Qube: qube, journal.Verdict: "allow", journal.Key: "SHA256:abc", journal.Host: host,
	}).Info("signed")
}

func (l *logged) gone(t *testing.T) {
	t.Helper()
	if err := os.Remove(l.journal); err != nil {
		t.Fatal(err)
	}
}

// splitvault runs a command, and fails the test if its exit code is another.
func splitvault(t *testing.T, want int, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	if got := run(args, &out, &errs); got != want {
		t.Errorf("%v: got exit code %d, want %d\n%s%s", args, got, want, &out, &errs)
	}
	return out.String(), errs.String()
}

func TestLogShowsEachLineOnce(t *testing.T) {
	l := newLogged(t)
	for _, host := range []string{"a.example", "b.example", "b.example"} {
		l.signed("work", host)
	}
	l.signed("play", "c.example")
	for _, row := range []struct {
		args string
		want int
	}{
		{"log", 5},
		{"log --qube work", 3},
		{"log --qube nobody", 0},
		{"log --service ssh", 5},
		{"log --service qubes.Ssh", 4},
		{"log --service pass", 0},
		{"log -n 2", 2},
		{"log --since 1h", 5},
		{"log --since 2026-01-01 --json", 5},
	} {
		out, _ := splitvault(t, 0, strings.Fields(row.args)...)
		if got := strings.Count(out, "\n"); got != row.want {
			t.Errorf("%s: %d lines, want %d\n%s", row.args, got, row.want, out)
		}
	}
	splitvault(t, 2, "log", "--since", "soon")
	splitvault(t, 2, "log", "--verify", "-f")
	l.gone(t)
	if out, notes := splitvault(t, 0, "log", "--qube", "work"); strings.Count(out, "\n") != 3 || !strings.Contains(notes, "the audit file stands alone") {
		t.Errorf("%s%s", out, notes)
	}
}

func TestTheJournalAloneIsShownToo(t *testing.T) {
	l := newLogged(t)
	l.signed("work", "a.example")
	dir, err := audit.Dir(os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if out, notes := splitvault(t, 0, "log"); strings.Count(out, "\n") != 1 || notes != "" {
		t.Errorf("%s%s", out, notes)
	}
	splitvault(t, 2, "log", "--verify")
	l.gone(t)
	for _, command := range []string{"log", "exposure work"} {
		if _, notes := splitvault(t, 2, strings.Fields(command)...); !strings.Contains(notes, "nothing can be read") {
			t.Errorf("%s", notes)
		}
	}
}

func TestVerifySaysWhatIsProven(t *testing.T) {
	l := newLogged(t)
	for range 120 {
		l.signed("work", "a.example")
	}
	if out, _ := splitvault(t, 0, "log", "--verify"); !strings.Contains(out, "lines 1 to 100 are as they were written") ||
		!strings.Contains(out, "The last 21 lines only fit together") {
		t.Error(out)
	}
	out, _ := splitvault(t, 0, "log", "--verify", "--json")
	var verdict struct {
		Lines, Anchors int
		Problems       []any
	}
	if err := json.Unmarshal([]byte(out), &verdict); err != nil || verdict.Lines != 121 || verdict.Anchors != 2 {
		t.Errorf("%+v, %v", verdict, err)
	}
	dir, err := audit.Dir(os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(audit.Path(dir, 0))
	if err != nil {
		t.Fatal(err)
	}
	forged := bytes.Replace(content, []byte("a.example"), []byte("b.example"), 1)
	if err := os.WriteFile(audit.Path(dir, 0), forged, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, _ := splitvault(t, 1, "log", "--verify"); !strings.Contains(out, "PROBLEM  audit.jsonl:3: line 3 does not fit") {
		t.Error(out)
	}
	if err := os.WriteFile(audit.Path(dir, 0), content, 0o600); err != nil {
		t.Fatal(err)
	}
	l.gone(t)
	splitvault(t, 2, "log", "--verify")
}

func TestExposureNamesKeysByTheirPublicHalves(t *testing.T) {
	l := newLogged(t)
	const public = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f me@laptop\n"
	ssh := filepath.Join(os.Getenv("HOME"), ".ssh")
	if err := os.Mkdir(ssh, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(ssh, "id.pub"), []byte(public), 0o600); err != nil {
		t.Fatal(err)
	}
	parsed, _, _, _, err := gossh.ParseAuthorizedKey([]byte(public))
	if err != nil {
		t.Fatal(err)
	}
	key := gossh.FingerprintSHA256(parsed)
	l.log.WithFields(logrus.Fields{journal.Qube: "work", journal.Key: key}).Info(audit.MessageListed)
	l.signed("work", "a.example")
	out, _ := splitvault(t, 0, "exposure", "work")
	for _, want := range []string{key + " (me@laptop)\n    once", "host a.example key SHA256:abc\n    once", "If work was in the wrong hands"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	out, _ = splitvault(t, 0, "exposure", "work", "--json")
	var x struct{ Used []struct{ Host string } }
	if err := json.Unmarshal([]byte(out), &x); err != nil || len(x.Used) != 1 || x.Used[0].Host != "a.example" {
		t.Errorf("%s: %v", out, err)
	}
	if out, _ := splitvault(t, 0, "exposure", "play"); !strings.Contains(out, "Nothing was signed for it") {
		t.Error(out)
	}
	splitvault(t, 2, "exposure", "work;id")
	splitvault(t, 2, "exposure")
}

// lineWriter is written by one goroutine and read by another.
type lineWriter chan string

func (w lineWriter) Write(b []byte) (int, error) {
	w <- string(b)
	return len(b), nil
}

func TestFollowShowsNewLinesOnce(t *testing.T) {
	l := newLogged(t)
	for range 15 {
		l.signed("work", "old.example")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	shown, ended := make(lineWriter, 100), make(chan error, 1)
	go func() { ended <- followLog(ctx, shown, io.Discard, logOptions{follow: true}) }()
	for range 10 {
		if line := <-shown; !strings.Contains(line, "old.example") {
			t.Errorf("%s", line)
		}
	}
	l.signed("work", "new.example")
	select {
	case line := <-shown:
		if !strings.Contains(line, "new.example") {
			t.Errorf("%s", line)
		}
	case <-ctx.Done():
		t.Error("it does not come")
	}
	time.AfterFunc(600*time.Millisecond, cancel)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if len(shown) > 0 {
		t.Errorf("shown twice: %s", <-shown)
	}
}
