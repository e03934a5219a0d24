package auditlog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/splitvault/splitvault/pkg/audit"
)

// maxFile bounds what is read of one file. Rotation keeps files far below.
const maxFile = 256 << 20

// lockPatience bounds the wait for a writer that holds the newest file.
const lockPatience = 2 * time.Second

// ErrNoFile says that this user has no audit file.
var ErrNoFile = errors.New("no audit file")

// File is one audit file, or what could be read of it.
type File struct {
	Name    string // "audit.jsonl"
	Content []byte
}

// Load reads the audit files of a directory, the oldest first. While it reads
// the newest one, no line is written and nothing is rotated; busy tells that this
// could not be had, so that the last lines may not fit together.
func Load(dir string) (files []File, busy bool, err error) {
	newest, err := open(audit.Path(dir, 0))
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return nil, false, err
	default:
		defer newest.Close()
		busy = lockShared(newest) != nil
	}
	for n := audit.Keep; n >= 0; n-- {
		f, err := read(audit.Path(dir, n))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, busy, err
		}
		files = append(files, f)
	}
	if len(files) == 0 {
		return nil, busy, fmt.Errorf("%w in %q", ErrNoFile, dir)
	}
	return withoutCopy(files), busy, nil
}

// withoutCopy leaves out a copy that was made for a rotation which did not come
// to its end: the newest file still has the same lines.
func withoutCopy(files []File) []File {
	n := len(files)
	if n < 2 || len(files[n-2].Content) == 0 || !bytes.HasPrefix(files[n-1].Content, files[n-2].Content) {
		return files
	}
	return append(files[:n-2:n-2], files[n-1])
}

func open(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, fmt.Errorf("opening the audit file: %w", err)
	}
	return f, nil
}

func read(path string) (File, error) {
	f, err := open(path)
	if err != nil {
		return File{}, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return File{}, fmt.Errorf("reading the audit file: %w", err)
	}
	if len(content) > maxFile {
		return File{}, fmt.Errorf("reading the audit file %q: more than %d MiB, which no daemon wrote", path, maxFile>>20)
	}
	return File{Name: filepath.Base(path), Content: content}, nil
}

func lockShared(f *os.File) error {
	for end := time.Now().Add(lockPatience); ; time.Sleep(5 * time.Millisecond) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB)
		if err == nil || time.Now().After(end) {
			return err
		}
	}
}

// position is a place in a file.
type position struct {
	number     int // of the line, from 1
	start, end int // bytes, without the newline
}

// lines yields the lines of a file; ok tells whether one is whole.
func (f File) lines() iter.Seq2[position, parsed] {
	return func(yield func(position, parsed) bool) {
		start := 0
		for number := 1; start < len(f.Content); number++ {
			end := bytes.IndexByte(f.Content[start:], '\n')
			if end < 0 {
				end = len(f.Content)
			} else {
				end += start
			}
			line, err := audit.Parse(f.Content[start:end])
			if !yield(position{number, start, end}, parsed{line, err == nil}) {
				return
			}
			start = end + 1
		}
	}
}

type parsed struct {
	audit.Line
	ok bool
}

// unlock cannot fail on a descriptor that was locked.
func unlock(f *os.File) { _ = unix.Flock(int(f.Fd()), unix.LOCK_UN) }
