package audit_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"github.com/splitvault/splitvault/pkg/audit"
	"github.com/splitvault/splitvault/pkg/auditlog"
	"github.com/splitvault/splitvault/pkg/confine"
	"github.com/splitvault/splitvault/pkg/confine/confinetest"
	"github.com/splitvault/splitvault/pkg/journal"
)

// The test binary is also the writer that other processes of these tests run.
func TestMain(m *testing.M) {
	if os.Getenv("AUDIT_TEST_WRITER") != "" {
		os.Exit(write())
	}
	os.Exit(m.Run())
}

// write appends lines as the environment says, each after the line of the same
// number of an own log, so that none can be lost without being missed.
func write() int {
	lines, _ := strconv.Atoi(os.Getenv("LINES"))
	most, _ := strconv.ParseInt(os.Getenv("CAP"), 10, 64)
	if limit, err := strconv.ParseUint(os.Getenv("FSIZE"), 10, 64); err == nil {
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: limit, Max: limit}); err != nil {
			fmt.Println(err)
			return 1
		}
	}
	failed := 0
	log, err := audit.Open(audit.Options{Daemon: "ssh-guard", Qube: "work", Getenv: os.Getenv, Cap: most})
	if err != nil && os.Getenv("FSIZE") == "" {
		fmt.Println(err)
		return 1
	}
	defer log.Close()
	if os.Getenv("CONFINE") != "" {
		if _, err := confine.Guard(); err != nil {
			fmt.Println(err)
			return 1
		}
	}
	for n := range lines {
		fields := logrus.Fields{journal.Qube: "work", journal.Conn: os.Getpid(), journal.Count: n, journal.Err: os.Getenv("PAD")}
		if err := log.Record(fields, "written by a test", logrus.InfoLevel); err != nil {
			failed++
			if os.Getenv("FSIZE") == "" {
				fmt.Println(err)
			}
		}
	}
	fmt.Println("failed", failed)
	return 0
}

// place is a state and runtime directory of its own.
type place struct{ dir string }

func newPlace(tb testing.TB) place {
	tb.Helper()
	p := place{tb.TempDir()}
	if err := os.Mkdir(filepath.Join(p.dir, "run"), 0o700); err != nil {
		tb.Fatal(err)
	}
	return p
}

func (p place) getenv(key string) string {
	return map[string]string{"XDG_STATE_HOME": p.dir, "XDG_RUNTIME_DIR": filepath.Join(p.dir, "run"), "HOME": "/nonexistent"}[key]
}

func (p place) state() string { return filepath.Join(p.dir, "splitvault") }

func (p place) newest() string { return audit.Path(p.state(), 0) }

// writer is a process that appends lines.
func (p place) writer(tb testing.TB, env ...string) (*exec.Cmd, *bytes.Buffer) {
	tb.Helper()
	self, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	if slices.Contains(env, confined) {
		shipped := confinetest.Self()
		tb.Cleanup(shipped.Remove)
		self = shipped.Path(tb)
	}
	cmd := exec.Command(self)
	cmd.Env = append([]string{
		"AUDIT_TEST_WRITER=1", "CAP=0", "XDG_STATE_HOME=" + p.dir, "XDG_RUNTIME_DIR=" + filepath.Join(p.dir, "run"),
	}, env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	return cmd, &out
}

// confined is for a writer that confines itself as a guard does.
const confined = "CONFINE=1"

// clock is set by hand.
type clock struct{ t time.Time }

func newClock() *clock { return &clock{time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)} }

// now moves on, so that no two lines have the same time.
func (c *clock) now() time.Time {
	defer func() { c.t = c.t.Add(time.Microsecond) }()
	return c.t
}

func (p place) open(tb testing.TB, o audit.Options) *audit.Log {
	tb.Helper()
	if o.Daemon == "" {
		o.Daemon = "ssh-guard"
	}
	o.Getenv = p.getenv
	log, err := audit.Open(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(log.Close)
	return log
}

func record(tb testing.TB, log *audit.Log, lines int) {
	tb.Helper()
	for n := range lines {
		fields := logrus.Fields{journal.Qube: "work", journal.Count: n, journal.Verdict: "allow"}
		if err := log.Record(fields, "signed", logrus.InfoLevel); err != nil {
			tb.Fatal(err)
		}
	}
}

func (p place) verify(tb testing.TB) auditlog.Verdict {
	tb.Helper()
	files, busy, err := auditlog.Load(p.state())
	if err != nil || busy {
		tb.Fatal(err, busy)
	}
	return auditlog.Verify(files, nil)
}

// whole fails the test unless the chain is whole, and returns what it has.
func (p place) whole(tb testing.TB) auditlog.Verdict {
	tb.Helper()
	v := p.verify(tb)
	for _, problem := range v.Problems {
		tb.Errorf("%v", problem)
	}
	return v
}

func (p place) content(tb testing.TB) []byte {
	tb.Helper()
	b, err := os.ReadFile(p.newest())
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func (p place) overwrite(tb testing.TB, content []byte) {
	tb.Helper()
	if err := os.WriteFile(p.newest(), content, 0o600); err != nil {
		tb.Fatal(err)
	}
}
