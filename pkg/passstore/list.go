package passstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

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
	w := walk{ctx: ctx}
	dir, err := reopen(s.dir)
	if err != nil {
		return nil, 0, fmt.Errorf("listing the password store: %w", err)
	}
	for part := range strings.SplitSeq(strings.TrimSuffix(string(scope), "/"), "/") {
		if part == "" {
			continue
		}
		next, err := openDir(dir, part)
		dir.Close()
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

type walk struct {
	ctx   context.Context
	names []entryname.Name
	odd   int
}

// dir takes over the directory, and closes it.
func (w *walk) dir(dir *os.File, prefix string, depth int) error {
	defer dir.Close()
	if w.ctx.Err() != nil {
		return context.Cause(w.ctx)
	}
	if depth == maxDepth {
		w.odd++
		return nil
	}
	entries, err := dir.ReadDir(-1)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		name := entry.Name()
		if strings.HasPrefix(name, ".") {
			continue // the store's own
		}
		base, isEntry := strings.CutSuffix(name, suffix)
		switch {
		case entry.IsDir():
			next, err := openDir(dir, name)
			if errors.Is(err, ErrNoEntry) {
				continue // it was a directory a moment ago
			}
			if err == nil {
				err = w.dir(next, prefix+name+"/", depth+1)
			}
			if err != nil {
				return err
			}
		case entry.Type().IsRegular() && isEntry:
			if len(w.names) == MaxEntries {
				return ErrTooMany
			}
			parsed, err := entryname.Parse(prefix + base)
			if err != nil {
				w.odd++
				continue
			}
			w.names = append(w.names, parsed)
		}
	}
	return nil
}
