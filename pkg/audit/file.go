package audit

import (
	"bytes"
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
	// The line that this process wrote last, with its newline, and the tail it
	// makes: as long as the file ends with it, it need not be parsed.
	last  []byte
	known tail
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
	case f.endsWithLast(st.Size):
		return f.known, nil
	}
	return readTail(f, st.Size)
}

// endsWithLast tells whether the file, of this size, still ends with what this
// process wrote last. No two lines are equal: each has its number and the hash of
// the one before.
func (f *file) endsWithLast(size int64) bool {
	n := int64(len(f.last))
	if n == 0 || n > size {
		return false
	}
	b := make([]byte, n)
	_, err := f.ReadAt(b, size-n)
	return err == nil && bytes.Equal(b, f.last)
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
	length := 0 // of the last line
	if !t.newline && t.seq > 0 {
		out = append(out, '\n')
	}
	for _, e := range events {
		line, text := f.line(&t, e)
		if line.IsAnchor() {
			head = Head(line.Seq, t.prev)
		}
		out = append(out, text...)
		out = append(out, '\n')
		length = len(text) + 1
	}
	f.last = nil
	n, err := f.Write(out)
	if err != nil {
		return "", fmt.Errorf("writing to the audit file (%d of %d bytes): %w", n, len(out), err)
	}
	t.damaged, t.bytes, t.newline = false, 0, true
	f.known, f.last = t, out[len(out)-length:]
	return head, nil
}

// line puts an event after t, and moves t behind it; text is the line encoded.
func (f *file) line(t *tail, e event) (line Line, text []byte) {
	now := f.now().UTC().Truncate(time.Microsecond)
	l := Line{
		Time: now, Seq: t.seq + 1, Daemon: f.daemon, Level: e.level, Message: e.message, Fields: e.fields,
		Anchored: t.anchored, Prev: t.prev,
	}
	// A clock that was set back makes the last anchor one of the future.
	if age := now.Sub(t.anchored); l.Seq%anchorLines == 0 || l.Seq == 1 || age > anchorTime || age < 0 {
		l.Anchored = now
	}
	text = l.Encode()
	t.seq, t.anchored, t.prev = l.Seq, l.Anchored, sha256.Sum256(text)
	return l, text
}

// Head is how an anchor is written in the journal: the line's number and hash.
func Head(seq uint64, hash Hash) string { return strconv.FormatUint(seq, 10) + ":" + hash.String() }
