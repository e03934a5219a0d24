package audit_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"github.com/splitvault/splitvault/pkg/audit"
	"github.com/splitvault/splitvault/pkg/journal"
)

// Many guards run at once: every line that was taken is there, in the order of
// its writer, in one chain. That they wait for each other longer than the bound
// allows is rare, and said.
func TestManyWritersMakeOneChain(t *testing.T) {
	t.Parallel()
	const processes, lines = 8, 200
	p := newPlace(t)
	var running sync.WaitGroup
	var failed atomic.Int64
	for range processes {
		cmd, out := p.writer(t, fmt.Sprint("LINES=", lines))
		running.Go(func() {
			var n int64
			err := cmd.Run()
			if _, scan := fmt.Sscanf(out.String()[strings.LastIndex(out.String(), "failed"):], "failed %d", &n); err != nil || scan != nil {
				t.Errorf("%v, %v: %s", err, scan, out)
			}
			failed.Add(n)
		})
	}
	running.Wait()
	if v := p.whole(t); v.Lines != processes*lines+1-int(failed.Load()) || v.Fragments != 0 || failed.Load() > lines/10 {
		t.Errorf("%d lines, %d fragments, %d failed", v.Lines, v.Fragments, failed.Load())
	}
	next := map[string]int{}
	for _, e := range p.events(t)[1:] {
		n, err := strconv.Atoi(e.Fields[journal.Count])
		if conn := e.Fields[journal.Conn]; err != nil || n < next[conn] {
			t.Fatalf("line %d: count %d after %d", e.Seq, n, next[conn])
		}
		next[e.Fields[journal.Conn]] = n + 1
	}
}

// A writer that is killed leaves at most a fragment, which the next one marks.
func TestKilledWritersLeaveAChain(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	pad := "PAD=" + strings.Repeat("x", 3000)
	random := rand.New(rand.NewPCG(1, 2))
	for range 8 {
		var victims []*exec.Cmd
		for range 3 {
			cmd, _ := p.writer(t, "LINES=100000000", "CAP=300000", pad)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			victims = append(victims, cmd)
		}
		time.Sleep(30*time.Millisecond + time.Duration(random.IntN(60))*time.Millisecond)
		for _, cmd := range victims {
			if err := cmd.Process.Kill(); err != nil {
				t.Error(err)
			}
			cmd.Wait() // its error is the kill
		}
	}
	record(t, p.open(t, audit.Options{}), 1)
	if v := p.whole(t); v.Lines < 20 {
		t.Errorf("%d lines", v.Lines)
	}
}

// What power loss, a full disk or a kill leaves of a line is kept, marked and
// covered by the chain.
func TestFragmentsAreMarkedAndChained(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	log := p.open(t, audit.Options{})
	record(t, log, 3)
	good := p.content(t)
	last := bytes.LastIndexByte(good[:len(good)-1], '\n') + 1
	rows := map[string][]byte{
		"only the newline is missing": good[:len(good)-1],
		"half a line":                 good[:last+(len(good)-last)/2],
		"one byte":                    good[:last+1],
		"all but the last byte":       good[:len(good)-2],
		"blocks of zeros":             append(bytes.Clone(good), make([]byte, 9000)...),
		"a large hole":                append(bytes.Clone(good), make([]byte, 3<<20)...),
		"an empty line":               append(bytes.Clone(good), '\n'),
		"garbage with newlines":       append(bytes.Clone(good), "x\n\x00\x00\ny\n"...),
		"a line of another file":      append(bytes.Clone(good), `{"time":"now"}`...),
	}
	for name, content := range rows {
		p.overwrite(t, content)
		record(t, log, 2)
		v, want := p.whole(t), 1
		if name == "only the newline is missing" {
			want = 0
		}
		if v.Fragments != want {
			t.Errorf("%s: %d fragments", name, v.Fragments)
		}
		now := p.content(t)
		if !bytes.HasPrefix(now, content) {
			t.Errorf("%s: what was there is no longer there", name)
		}
		// The fragment is part of the chain: it cannot be changed later.
		if want == 1 && len(content) > last+1 {
			now[last+1] ^= 1
			p.overwrite(t, now)
			if len(p.verify(t).Problems) == 0 {
				t.Errorf("%s: a change of the fragment does not show", name)
			}
		}
	}
}

func TestEveryCutOfALineIsRepaired(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	log := p.open(t, audit.Options{})
	record(t, log, 2)
	good := p.content(t)
	last := bytes.LastIndexByte(good[:len(good)-1], '\n') + 1
	for end := last + 1; end < len(good); end++ {
		p.overwrite(t, good[:end])
		record(t, log, 1)
		p.whole(t)
		if t.Failed() {
			t.Fatalf("cut at byte %d of the line", end-last)
		}
	}
}

func TestTheClockMayJump(t *testing.T) {
	t.Parallel()
	p, c := newPlace(t), newClock()
	log := p.open(t, audit.Options{Now: c.now})
	for _, jump := range []time.Duration{time.Hour, -48 * time.Hour, 0, 20 * 365 * 24 * time.Hour, -30 * 365 * 24 * time.Hour, time.Nanosecond} {
		c.t = c.t.Add(jump)
		record(t, log, 2)
	}
	if v := p.whole(t); v.Lines != 13 {
		t.Errorf("%d lines", v.Lines)
	}
}

// anchors returns the numbers of the lines that went to the journal.
func anchors(t *testing.T, p place) (seqs []uint64) {
	t.Helper()
	for raw := range bytes.SplitSeq(bytes.TrimSpace(p.content(t)), []byte("\n")) {
		l, err := audit.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		if l.IsAnchor() {
			seqs = append(seqs, l.Seq)
		}
	}
	return seqs
}

func TestWhenALineIsAnAnchor(t *testing.T) {
	t.Parallel()
	p, c := newPlace(t), newClock()
	log := p.open(t, audit.Options{Now: c.now}) // line 1
	c.t = c.t.Add(10*time.Minute - time.Microsecond)
	record(t, log, 1)  // 2: ten minutes are not more than ten minutes
	record(t, log, 97) // 3 is, 4 to 99 are not
	record(t, log, 2)  // 100 is
	c.t = c.t.Add(-time.Hour)
	record(t, log, 2) // 102: the clock was set back
	if got := fmt.Sprint(anchors(t, p)); got != "[1 3 100 102]" {
		t.Errorf("anchors are lines %s", got)
	}
}

// A process that was stopped while it wrote delays a decision by no more than
// the bound.
func TestAHeldFileDoesNotHoldADecision(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	log := p.open(t, audit.Options{})
	held, err := os.Open(p.newest())
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if err := unix.Flock(int(held.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	err = log.Record(nil, "signed", logrus.InfoLevel)
	if took := time.Since(start); !errors.Is(err, audit.ErrBusy) || took < audit.Patience || took > audit.Patience+time.Second {
		t.Errorf("%v after %v", err, took)
	}
	if err := unix.Flock(int(held.Fd()), unix.LOCK_UN); err != nil {
		t.Fatal(err)
	}
	record(t, log, 1)
	p.whole(t)
}

func TestAFullDiskIsAnErrorAndLeavesAChain(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	cmd, out := p.writer(t, "LINES=20", "FSIZE=5000", "PAD="+strings.Repeat("x", 300))
	if err := cmd.Run(); err != nil || !strings.HasPrefix(out.String(), "failed 1") {
		t.Fatalf("%v: %s", err, out)
	}
	if size := len(p.content(t)); size != 5000 {
		t.Errorf("%d bytes: the last line was not cut off", size)
	}
	record(t, p.open(t, audit.Options{}), 2)
	if v := p.whole(t); v.Fragments != 1 {
		t.Errorf("%d fragments", v.Fragments)
	}
}

func TestARealFullDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k,mode=0700"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("mounting a tmpfs: %v", err)
		}
		t.Skipf("mounting a tmpfs: %v (needs root)", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	p := place{dir}
	log := p.open(t, audit.Options{})
	var err error
	for n := 0; err == nil && n < 1000; n++ {
		err = log.Record(logrus.Fields{journal.Cause: strings.Repeat("x", 700)}, "written by a test", logrus.InfoLevel)
	}
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("the disk took all: %v", err)
	}
	for range 20 {
		if err := log.Record(nil, "written by a test", logrus.InfoLevel); err == nil {
			break // a short line may fit where the long one did not
		}
	}
	if v := p.whole(t); v.Fragments > 1 {
		t.Errorf("%d fragments", v.Fragments)
	}
}

// A confined guard can write lines: nothing is opened any more.
func TestAConfinedGuardRecords(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	cmd, out := p.writer(t, "LINES=50", confined)
	if err := cmd.Run(); err != nil || out.String() != "failed 0\n" {
		t.Fatalf("%v: %s", err, out)
	}
	if v := p.whole(t); v.Lines != 51 {
		t.Errorf("%d lines", v.Lines)
	}
}

func TestNoFileThatOthersCouldReadOrWrite(t *testing.T) {
	t.Parallel()
	for name, make := range map[string]func(path string) error{
		"symbolic link":    func(path string) error { return os.Symlink("/etc/passwd", path) },
		"open to others":   func(path string) error { return errors.Join(os.WriteFile(path, nil, 0o600), os.Chmod(path, 0o644)) },
		"second name":      func(path string) error { return errors.Join(os.WriteFile(path, nil, 0o600), os.Link(path, path+".2")) },
		"pipe":             func(path string) error { return unix.Mkfifo(path, 0o600) },
		"directory":        func(path string) error { return os.Mkdir(path, 0o700) },
		"writable for all": func(path string) error { return os.Chmod(filepath.Dir(path), 0o777) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			if err := os.Mkdir(p.state(), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := make(p.newest()); err != nil {
				t.Fatal(err)
			}
			log, err := audit.Open(audit.Options{Daemon: "ssh-guard", Getenv: p.getenv})
			if !errors.Is(err, audit.ErrNoFile) {
				t.Errorf("opened: %v", err)
			}
			if err := log.Record(nil, "signed", logrus.InfoLevel); !errors.Is(err, audit.ErrNoFile) {
				t.Errorf("recorded: %v", err)
			}
		})
	}
}

func TestAFileThatWasRemovedTakesNothing(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	log := p.open(t, audit.Options{})
	record(t, log, 1)
	if err := os.Remove(p.newest()); err != nil {
		t.Fatal(err)
	}
	if err := log.Record(nil, "signed", logrus.InfoLevel); err == nil {
		t.Error("a line went to a file that nobody finds")
	}
	p.overwrite(t, nil)
	log = p.open(t, audit.Options{})
	p.overwrite(t, nil)
	if err := log.Record(nil, "signed", logrus.InfoLevel); err == nil {
		t.Error("a chain was begun anew by a process that cannot know the old one")
	}
}
