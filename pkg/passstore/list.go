package passstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/splitvault/splitvault/pkg/entryname"
)

const (
	// MaxEntries bounds a list.
	MaxEntries = 100_000
	maxDepth   = 64
)

// ErrTooMany says that the store has more entries than can be listed.
var ErrTooMany = fmt.Errorf("more than %d entries", MaxEntries)

// Names returns the names of all entries in the scope, sorted by their bytes, and
// how many files ending in .gpg can have no name and were left out.
func (s *Store) Names(ctx context.Context, scope entryname.Scope) (names []entryname.Name, odd int, err error) {
	w := walk{ctx: ctx, buffer: make([]byte, direntBuffer)}
	dir, err := openDirAt(fd(s.dir), ".")
	if err != nil {
		return nil, 0, fmt.Errorf("listing the password store: %w", err)
	}
	for part := range strings.SplitSeq(strings.TrimSuffix(string(scope), "/"), "/") {
		if part == "" {
			continue
		}
		next, err := openDirAt(dir, part)
		_ = unix.Close(dir) // nothing was written
		if errors.Is(err, ErrNoEntry) {
			return nil, 0, nil
		}
		if err != nil {
			return nil, 0, fmt.Errorf("listing %q: %w", scope, err)
		}
		dir = next
	}
	if err := w.dir(dir, string(scope), 0); err != nil {
		return nil, 0, fmt.Errorf("listing the password store: %w", err)
	}
	slices.Sort(w.names)
	return w.names, w.odd, nil
}

// walk goes through directories by their descriptors alone, and makes of what it
// finds there no more than the names: a store has thousands, and a list of them is
// waited for.
type walk struct {
	ctx    context.Context
	names  []entryname.Name
	odd    int
	buffer []byte // for one directory after the other
}

// dir takes over the directory, and closes it.
func (w *walk) dir(dir int, prefix string, depth int) error {
	defer func() { _ = unix.Close(dir) }() // nothing was written
	if w.ctx.Err() != nil {
		return context.Cause(w.ctx)
	}
	if depth == maxDepth {
		w.odd++
		return nil
	}
	below, err := w.read(dir, prefix)
	if err != nil {
		return err
	}
	for _, name := range below {
		next, err := openDirAt(dir, name)
		if errors.Is(err, ErrNoEntry) {
			continue // it was a directory a moment ago
		}
		if err == nil {
			err = w.dir(next, prefix+name+"/", depth+1)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// read takes the entries of one directory, and returns the directories in it.
func (w *walk) read(dir int, prefix string) (below []string, err error) {
	for {
		read, err := getdents(dir, w.buffer)
		if err != nil || len(read) == 0 {
			return below, err
		}
		for len(read) > 0 {
			var one dirent
			if one, read, err = nextDirent(read); err != nil {
				return nil, err
			}
			if one.name[0] == '.' {
				continue // the store's own
			}
			if one.kind == unix.DT_UNKNOWN { // the file system does not say
				one.kind = kindOf(dir, string(one.name))
			}
			base, isEntry := bytes.CutSuffix(one.name, []byte(suffix))
			switch {
			case one.kind == unix.DT_DIR:
				below = append(below, string(one.name))
			case one.kind == unix.DT_REG && isEntry:
				if len(w.names) == MaxEntries {
					return nil, ErrTooMany
				}
				w.take(prefix + string(base))
			}
		}
	}
}

func (w *walk) take(name string) {
	parsed, err := entryname.Parse(name)
	if err != nil {
		w.odd++
		return
	}
	w.names = append(w.names, parsed)
}
