package auditlog

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"time"

	"github.com/splitvault/splitvault/pkg/audit"
)

// Follower reads what is appended to the audit file of a directory. A rotation
// empties the file after its lines were copied; the Follower takes those that it
// has not seen from the copy.
type Follower struct {
	dir  string
	file *os.File // nil: there is none yet
	at   int64    // how far it was read
	head []byte   // the first line, which no other file has
}

// NewFollower starts behind the lines that are there now.
func NewFollower(dir string) (*Follower, error) {
	f := &Follower{dir: dir}
	opened, err := f.reopen()
	if err != nil || !opened {
		return f, err
	}
	info, err := f.file.Stat()
	if err != nil {
		return f, err
	}
	// Behind the last newline: a line that is being written comes whole later.
	b := make([]byte, min(info.Size(), audit.MaxLine+1))
	n, err := f.file.ReadAt(b, info.Size()-int64(len(b)))
	if err != nil && !errors.Is(err, io.EOF) {
		return f, err
	}
	f.at = info.Size() - int64(n-1-bytes.LastIndexByte(b[:n], '\n'))
	return f, nil
}

// Close closes the file.
func (f *Follower) Close() {
	if f.file != nil {
		f.file.Close()
	}
}

// Run calls each with new events, as they come, until ctx ends.
func (f *Follower) Run(ctx context.Context, every time.Duration, each func(Event)) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		events, err := f.Next()
		if err != nil {
			return err
		}
		for _, e := range events {
			each(e)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Next returns the events since the last call.
func (f *Follower) Next() ([]Event, error) {
	if f.file == nil || !f.isCurrent() {
		if opened, err := f.reopen(); err != nil || !opened {
			return nil, err
		}
	}
	// The lock keeps a rotation away, so that what is read fits together. Where it
	// cannot be had the next call tries again.
	if lockShared(f.file) != nil {
		return nil, nil
	}
	defer unlock(f.file)
	var events []Event
	head := firstLine(f.file)
	if len(f.head) > 0 && !bytes.Equal(head, f.head) {
		events = f.rotated()
		f.at = 0
	}
	f.head = head
	content, err := io.ReadAll(io.NewSectionReader(f.file, f.at, maxFile))
	if err != nil {
		return nil, err
	}
	content = content[:bytes.LastIndexByte(content, '\n')+1]
	f.at += int64(len(content))
	return append(events, Events([]File{{Content: content}})...), nil
}

// rotated returns what is left of the file that was followed, and of those that
// were full meanwhile.
func (f *Follower) rotated() []Event {
	var files []File
	for n := 1; n <= audit.Keep; n++ {
		old, err := read(audit.Path(f.dir, n))
		if err != nil {
			break
		}
		if first, _, _ := bytes.Cut(old.Content, []byte("\n")); bytes.Equal(first, f.head) {
			old.Content = old.Content[min(f.at, int64(len(old.Content))):]
			return Events(append([]File{old}, files...))
		}
		files = append([]File{old}, files...)
	}
	return nil // more was rotated than is kept
}

// reopen opens the file, if it is there, at its beginning.
func (f *Follower) reopen() (opened bool, err error) {
	file, err := open(audit.Path(f.dir, 0))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	f.Close()
	f.file, f.at, f.head = file, 0, firstLine(file)
	return true, nil
}

// isCurrent tells whether the file still has its name.
func (f *Follower) isCurrent() bool {
	ours, err := f.file.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(audit.Path(f.dir, 0))
	return err != nil || os.SameFile(ours, there)
}

func firstLine(r io.ReaderAt) []byte {
	b := make([]byte, audit.MaxLine+1)
	n, _ := r.ReadAt(b, 0)
	line, _, whole := bytes.Cut(b[:n], []byte("\n"))
	if !whole {
		return nil
	}
	return line
}
