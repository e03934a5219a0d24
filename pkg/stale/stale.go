// Package stale tells whether files have changed since they were read, to a
// process that can open nothing any more: a guard that serves a call for hours must
// not go on by rules that its owner has changed since.
package stale

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// Files remembers files and the directories they are in. The zero Files never
// change.
type Files struct{ seen []seen }

type seen struct {
	file *os.File
	look look
}

// look is what changes when a file is written, replaced, removed or closed to us,
// and when a directory gets a file.
type look struct {
	size  int64
	links uint64
	mtime syscall.Timespec
	ctime syscall.Timespec
}

// Remember opens the files, which are to be read only after it returns, and their
// directories. For what does not exist it takes the nearest directory above that
// does. Close must be called.
func Remember(paths ...string) (*Files, error) {
	f := &Files{}
	var done []string
	for _, path := range paths {
		for _, p := range []string{path, filepath.Dir(path)} {
			for !slices.Contains(done, p) {
				done = append(done, p)
				err := f.add(p)
				if err == nil || errors.Is(err, os.ErrPermission) {
					break // what cannot be opened is told by who reads it
				}
				if !errors.Is(err, os.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
					f.Close()
					return nil, fmt.Errorf("remembering %q: %w", p, err)
				}
				p = filepath.Dir(p)
			}
		}
	}
	return f, nil
}

func (f *Files) add(path string) error {
	// Not blocking: a FIFO has no rules.
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	l, err := lookAt(file)
	if err != nil {
		file.Close()
		return err
	}
	f.seen = append(f.seen, seen{file, l})
	return nil
}

// Changed tells whether any of them looks other than when it was remembered. What
// cannot be told counts as a change.
func (f *Files) Changed() bool {
	return slices.ContainsFunc(f.seen, func(s seen) bool {
		now, err := lookAt(s.file)
		return err != nil || now != s.look
	})
}

// Close closes the files.
func (f *Files) Close() {
	for _, s := range f.seen {
		s.file.Close()
	}
}

func lookAt(file *os.File) (look, error) {
	info, err := file.Stat()
	if err != nil {
		return look{}, err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return look{}, errors.ErrUnsupported
	}
	//nolint:unconvert // on arm it has 32 bits
	return look{size: st.Size, links: uint64(st.Nlink), mtime: st.Mtim, ctime: st.Ctim}, nil
}
