package auditlog

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/splitvault/splitvault/pkg/journal"
)

// maxEntry bounds one entry as journalctl prints it, in bytes.
const maxEntry = 1 << 20

// daemons are those whose entries are ours.
func daemons() []string {
	return []string{"ssh-relay", "ssh-guard", "clef-relay", "clef-guard", "clef-net", "pass-relay", "pass-guard", "consentd"}
}

// Journal reads systemd's journal by journalctl(1). Only entries of this user's
// processes count (journald itself writes _UID): any other program could call
// itself splitvault-ssh-guard.
type Journal struct {
	Command string // "journalctl"
}

// ErrNoJournal says that the journal cannot be read.
var ErrNoJournal = errors.New("the journal cannot be read")

func (j Journal) arguments(start ...string) []string {
	args := append([]string{"--quiet", "--no-pager", "--all", "--output=json"}, start...)
	if uid := os.Getuid(); uid != 0 {
		args = append(args, "_UID="+strconv.Itoa(uid))
	}
	for _, d := range daemons() {
		args = append(args, "SYSLOG_IDENTIFIER=splitvault-"+d)
	}
	return args
}

func at(t time.Time) string { return "--since=@" + strconv.FormatInt(t.Unix(), 10) }

// Read returns all entries since a time (zero: all), oldest first, and the
// journal's name for the place behind them.
func (j Journal) Read(ctx context.Context, since time.Time) (events []Event, cursor string, err error) {
	var start []string
	if !since.IsZero() {
		start = []string{at(since)}
	}
	err = j.run(ctx, j.arguments(start...), func(e Event, c string) {
		events, cursor = append(events, e), c
	})
	return events, cursor, err
}

// Follow calls each for every entry behind a cursor, or, where that is empty,
// since a time, until ctx ends.
func (j Journal) Follow(ctx context.Context, cursor string, since time.Time, each func(Event)) error {
	start := []string{"--follow", "--lines=all", at(since)}
	if cursor != "" {
		start[2] = "--after-cursor=" + cursor
	}
	return j.run(ctx, j.arguments(start...), func(e Event, _ string) { each(e) })
}

func (j Journal) run(ctx context.Context, args []string, each func(e Event, cursor string)) error {
	// The child's end is tied to the thread that starts it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	running, stop := context.WithCancel(ctx)
	defer stop()
	cmd := exec.CommandContext(running, j.Command, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = time.Second
	var complaint bytes.Buffer
	cmd.Stderr = &limited{to: &complaint, left: 4 << 10}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNoJournal, err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%w: %w", ErrNoJournal, err)
	}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, maxEntry)
	for lines.Scan() {
		if e, cursor, ok := parseEntry(lines.Bytes()); ok {
			each(e, cursor)
		}
	}
	stopped := ctx.Err()
	if lines.Err() != nil {
		stop() // it would wait for a reader
	}
	err = cmd.Wait()
	switch {
	case stopped != nil:
		return stopped
	case lines.Err() != nil:
		return fmt.Errorf("%w: %w", ErrNoJournal, lines.Err())
	case err != nil:
		return fmt.Errorf("%w: %w: %s", ErrNoJournal, err, Printable(strings.TrimSpace(complaint.String())))
	}
	return nil
}

// limited drops what goes beyond a bound.
type limited struct {
	to   io.Writer
	left int
}

func (l *limited) Write(b []byte) (int, error) {
	n := min(len(b), l.left)
	l.left -= n
	if _, err := l.to.Write(b[:n]); err != nil {
		return 0, err
	}
	return len(b), nil
}

// parseEntry reads one entry of journalctl --output=json. Values are strings;
// arrays of numbers where they are no text, arrays of these where a field is
// there twice, null where they are too long: such fields are left out.
func parseEntry(untrusted []byte) (e Event, cursor string, ok bool) {
	var raw map[string]any
	if err := json.Unmarshal(untrusted, &raw); err != nil {
		return Event{}, "", false
	}
	text := func(key string) string {
		s, _ := raw[key].(string)
		return s
	}
	daemon, ours := strings.CutPrefix(text("SYSLOG_IDENTIFIER"), "splitvault-")
	stamp, err := strconv.ParseInt(text("__REALTIME_TIMESTAMP"), 10, 64)
	if err != nil || !ours || !slices.Contains(daemons(), daemon) {
		return Event{}, "", false
	}
	if sent, err := strconv.ParseInt(text("_SOURCE_REALTIME_TIMESTAMP"), 10, 64); err == nil {
		stamp = sent
	}
	e = Event{
		Time: time.UnixMicro(stamp), Daemon: daemon, Level: level(text("PRIORITY")), Source: FromJournal,
		Fields: make(map[string]string),
	}
	if e.UID, err = strconv.Atoi(text("_UID")); err != nil {
		e.UID = -1
	}
	for _, name := range journal.Fields() {
		if v := text("SPLITVAULT_" + strings.ToUpper(name)); v != "" {
			e.Fields[name] = v
		}
	}
	e.Message = text("MESSAGE")
	// Package journal ends the message with these two, for those who read
	// plain journalctl.
	for _, name := range []string{journal.Err, journal.Cause} {
		if v := e.Fields[name]; v != "" {
			e.Message = strings.TrimSuffix(e.Message, ": "+v)
		}
	}
	return e, text("__CURSOR"), true
}

func level(priority string) string {
	switch priority {
	case "0", "1", "2", "3":
		return "error"
	case "4":
		return "warning"
	case "7":
		return "debug"
	default:
		return "info"
	}
}

// Anchors returns the anchors among the events of the journal that belong to the files
// of one user. Who may read all of it (root) finds those of other users, too: clef-net
// has files of its own.
func Anchors(events []Event, uid int) []Anchor {
	var anchors []Anchor
	for _, e := range events {
		if e.UID != uid {
			continue
		}
		seq, hash, ok := strings.Cut(e.Fields[journal.AuditHead], ":")
		n, err := strconv.ParseUint(seq, 10, 64)
		if ok && err == nil && len(hash) == 64 && e.Source == FromJournal {
			anchors = append(anchors, Anchor{n, hash, e.Time})
		}
	}
	return anchors
}
