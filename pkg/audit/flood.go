package audit

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/splitvault/splitvault/pkg/rundir"
)

// A client qube decides how many of its requests are refused, and how often it
// calls. The log takes this many lines of one qube at once, and then one for each
// interval: a qube that floods it day and night needs three weeks to push out
// what was written of others. Allows are always written.
const (
	floodBurst    = 300
	floodInterval = 10 * time.Second
	floodResume   = 30 // after a flood, as many must be free before lines are written again
	listedAgain   = time.Hour
	floodPatience = 50 * time.Millisecond
)

// kind says what may become of a line in a flood.
type kind int

const (
	limited kind = iota
	listing      // limited only where it says what another said in the last hour
	always
)

// counters are what the processes that serve one qube share. In the file they
// are a fixed number of bytes, in the order of the fields.
type counters struct {
	Magic      uint64
	Last       int64 // time since the vault's start, in nanoseconds
	Left       int64 // lines that may be written at once, in nanoseconds of waiting
	Suppressed uint64
	Missing    uint64 // lines that the audit file did not take
	Listings   [16]seen
}

type seen struct {
	Hash uint64
	At   int64
}

const (
	floodMagic = 0x53504c4954_000001 // "SPLIT", version 1
	floodFull  = int64(floodBurst * floodInterval)
)

func fresh(now int64) counters { return counters{Magic: floodMagic, Last: now, Left: floodFull} }

// admitted is what becomes of a line.
type admitted struct {
	write      bool
	begins     bool   // it is the first that is not written
	suppressed uint64 // as many were not written before this one
	missing    uint64 // as many did not get into the file
}

// admit decides over one line. It counts what it does not let through.
func (c *counters) admit(now int64, k kind, hash uint64) admitted {
	c.Left = min(floodFull, c.Left+now-c.Last)
	c.Last = now
	if k == listing && c.news(now, hash) {
		k = always
	}
	if k != always {
		least := int64(floodInterval)
		if c.Suppressed > 0 {
			least *= floodResume
		}
		if c.Left < least {
			c.Suppressed++
			return admitted{begins: c.Suppressed == 1}
		}
		c.Left -= int64(floodInterval)
	}
	a := admitted{write: true, missing: c.Missing}
	// An allow in the middle of a flood is not the flood's end.
	if k != always {
		a.suppressed, c.Suppressed = c.Suppressed, 0
	}
	return a
}

// news tells whether no such list was written in the last hour.
func (c *counters) news(now int64, hash uint64) bool {
	oldest := 0
	for i, s := range c.Listings {
		if s.Hash == hash && s.At > 0 && s.At <= now && now-s.At < int64(listedAgain) {
			return false
		}
		if s.At < c.Listings[oldest].At {
			oldest = i
		}
	}
	c.Listings[oldest] = seen{hash, now}
	return true
}

// flood shares the counters of one qube between processes. Where the file
// cannot be had, they are this process's own.
type flood struct {
	file   *os.File // nil: none
	fd     int
	broken bool // the file does not take what is written
	own    counters
	now    func() int64
}

// sinceStart is a clock that nobody sets.
func sinceStart() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return 0
	}
	return t.Nano()
}

// openFlood opens the counters of a qube under the runtime directory.
func openFlood(runtime, qube string, now func() int64) (*flood, error) {
	f := &flood{now: now, own: fresh(now())}
	if qube == "" || qube != filepath.Base(qube) || qube[0] == '.' {
		return f, errors.New("counting log lines: no name of a qube")
	}
	dir, err := rundir.Make(runtime, "log")
	if err != nil {
		return f, fmt.Errorf("counting log lines: %w", err)
	}
	path := filepath.Join(dir, qube)
	if !exists(path) {
		prune(dir, time.Now())
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return f, fmt.Errorf("counting log lines: %w", err)
	}
	f.file, f.fd = file, int(file.Fd())
	return f, nil
}

// prune removes the counters of qubes that were not heard of for so long that
// they count nothing: disposables have ever new names.
func prune(dir string, now time.Time) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && now.Sub(info.ModTime()) > 2*floodBurst*floodInterval {
			os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

func (f *flood) admit(k kind, listed string) admitted {
	h := fnv.New64a()
	h.Write([]byte(listed))
	var a admitted
	f.change(func(c *counters) { a = c.admit(f.now(), k, h.Sum64()) })
	return a
}

// missed counts a line that the file did not take; found takes it back when
// the file has a line that says so.
func (f *flood) missed()        { f.change(func(c *counters) { c.Missing++ }) }
func (f *flood) found(n uint64) { f.change(func(c *counters) { c.Missing -= min(n, c.Missing) }) }

// change applies one change to the shared counters.
func (f *flood) change(apply func(*counters)) {
	if f.file == nil || f.broken || lock(f.fd, floodPatience) != nil {
		apply(&f.own)
		return
	}
	defer unlock(f.fd)
	var c counters
	b := make([]byte, binary.Size(c))
	if _, err := f.file.ReadAt(b, 0); err == nil {
		_, _ = binary.Decode(b, binary.BigEndian, &c) // the size is right
	}
	if now := f.now(); c.Magic != floodMagic || c.Left < 0 || c.Left > floodFull || c.Last > now {
		c = fresh(now) // new, or damaged
	}
	apply(&c)
	b, _ = binary.Append(b[:0], binary.BigEndian, &c)
	if _, err := f.file.WriteAt(b, 0); err != nil {
		f.own, f.broken = c, true
	}
}

func (f *flood) close() {
	if f.file != nil {
		f.file.Close()
	}
}

// Keys splits fingerprints into values for the field key, of which each fits
// one line.
func Keys(fingerprints []string) []string {
	var values []string
	for chunk := range slices.Chunk(fingerprints, 50) {
		values = append(values, strings.Join(chunk, " "))
	}
	return values
}
