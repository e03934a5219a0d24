// Package cooldown remembers, across the short-lived processes of one user, when
// something was last refused. It is a file of eight bytes, so that a process that
// has confined itself needs no more than to read and write what is open.
package cooldown

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Mark is the time of the last refusal of one kind. The nil Mark remembers nothing.
type Mark struct{ file *os.File }

// Open opens the mark of a name in a directory that belongs to the user alone.
func Open(dir, name string) (*Mark, error) {
	path := filepath.Join(dir, url.PathEscape(name))
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening a mark of refusals: %w", err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a regular file")
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("opening a mark of refusals: %w", err)
	}
	return &Mark{f}, nil
}

// Set marks a refusal.
func (m *Mark) Set(now time.Time) error {
	if m == nil {
		return nil
	}
	if _, err := m.file.WriteAt(binary.BigEndian.AppendUint64(nil, uint64(now.UnixNano())), 0); err != nil {
		return fmt.Errorf("marking a refusal: %w", err)
	}
	return nil
}

// Left is how much of a time after the last refusal is left. If the clock was set
// back, the time begins anew, lest it last until the clock is there again. What cannot
// be read counts as all of it.
func (m *Mark) Left(now time.Time, after time.Duration) (time.Duration, error) {
	if m == nil {
		return 0, nil
	}
	var b [8]byte
	n, err := m.file.ReadAt(b[:], 0)
	if n == 0 && errors.Is(err, io.EOF) {
		return 0, nil // nothing was refused yet
	}
	if n < len(b) {
		return after, fmt.Errorf("reading a mark of refusals: %w", err)
	}
	last := time.Unix(0, int64(binary.BigEndian.Uint64(b[:])))
	if last.After(now) {
		return after, m.Set(now)
	}
	return max(after-now.Sub(last), 0), nil
}

// Close closes the mark.
func (m *Mark) Close() {
	if m != nil {
		m.file.Close()
	}
}
