package audit

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/splitvault/splitvault/pkg/journal"
)

// When a line's hash goes to the journal.
const (
	anchorLines = 100
	anchorTime  = 10 * time.Minute
)

// file is the open audit file. All its methods need the lock.
type file struct {
	*os.File
	fd     int
	daemon string
	now    func() time.Time
}

func newFile(f *os.File, daemon string, now func() time.Time) *file {
	return &file{File: f, fd: int(f.Fd()), daemon: daemon, now: now}
}

var (
	errRemoved = errors.New("the audit file was removed or replaced while it was in use")
	errEmpty   = errors.New("the audit file was emptied while it was in use")
)

// end is where the next line goes. A file without a name is no longer the
// user's audit file; an empty one has lost its chain, which only Open can take up
// again.
func (f *file) end() (tail, error) {
	var st unix.Stat_t
	if err := unix.Fstat(f.fd, &st); err != nil {
		return tail{}, fmt.Errorf("looking at the audit file: %w", err)
	}
	switch {
	case st.Nlink == 0:
		return tail{}, errRemoved
	case st.Size == 0:
		return tail{}, errEmpty
	}
	return readTail(f, st.Size)
}

// event is what happened, before it has a place in the chain.
type event struct {
	level, message string
	fields         map[string]string
}

func counted(level, message string, n uint64) event {
	return event{level, message, map[string]string{journal.Count: strconv.FormatUint(n, 10)}}
}

// append writes events, each a line, and returns the newest head if one of
// them is an anchor. Damage at the end is closed by a line that says so.
func (f *file) append(events ...event) (head string, err error) {
	t, err := f.end()
	if err != nil {
		return "", err
	}
	if t.damaged {
		events = append([]event{counted(levelWarning, MessageDamaged, uint64(t.bytes))}, events...)
	}
	return f.write(t, events)
}

// write appends events after t with one system call. What a full disk or a kill
// cuts off is found by the next writer, as a fragment: nothing here needs to
// take bytes away, and a guard that is confined must not be able to.
func (f *file) write(t tail, events []event) (head string, err error) {
	var out []byte
	if !t.newline && t.seq > 0 {
		out = append(out, '\n')
	}
	for _, e := range events {
		line, hash := f.line(&t, e)
		if line.IsAnchor() {
			head = Head(line.Seq, hash)
		}
		out = append(out, line.Encode()...)
		out = append(out, '\n')
	}
	n, err := f.Write(out)
	if err != nil {
		return "", fmt.Errorf("writing to the audit file (%d of %d bytes): %w", n, len(out), err)
	}
	return head, nil
}

// line puts an event after t, and moves t behind it.
func (f *file) line(t *tail, e event) (Line, Hash) {
	now := f.now().UTC().Truncate(time.Microsecond)
	l := Line{
		Time: now, Seq: t.seq + 1, Daemon: f.daemon, Level: e.level, Message: e.message, Fields: e.fields,
		Anchored: t.anchored, Prev: t.prev,
	}
	// A clock that was set back makes the last anchor one of the future.
	if age := now.Sub(t.anchored); l.Seq%anchorLines == 0 || l.Seq == 1 || age > anchorTime || age < 0 {
		l.Anchored = now
	}
	hash := Hash(sha256.Sum256(l.Encode()))
	t.seq, t.anchored, t.prev = l.Seq, l.Anchored, hash
	return l, hash
}

// Head is how an anchor is written in the journal: the line's number and hash.
func Head(seq uint64, hash Hash) string { return strconv.FormatUint(seq, 10) + ":" + hash.String() }
