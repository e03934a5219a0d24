package passstore

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/splitvault/splitvault/pkg/entryname"
)

var (
	// ErrNoEntry says that there is no file that an entry could be.
	ErrNoEntry = errors.New("no such entry")
	// ErrTooLarge says that a file is larger than was allowed for.
	ErrTooLarge = errors.New("too large")
	// ErrExists says that there is an entry of that name.
	ErrExists = errors.New("the entry is there already")
)

const suffix = ".gpg"

// Store is an open password store.
type Store struct {
	dir  *os.File
	path string
}

// Open opens the store at a path, which itself may be a link.
func Open(path string) (*Store, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening the password store %q: %w", path, err)
	}
	return &Store{os.NewFile(uintptr(fd), path), path}, nil
}

// Path is where the store was opened.
func (s *Store) Path() string { return s.path }

// Close closes the store.
func (s *Store) Close() error { return s.dir.Close() }

// Entry opens an entry's file of at most limit bytes. Whatever is there and no
// entry is [ErrNoEntry], as if it were not.
func (s *Store) Entry(name entryname.Name, limit int64) (*os.File, error) {
	dir, base, err := s.parent(name, false)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	file, size, err := openRegular(dir, base)
	if err != nil {
		return nil, fmt.Errorf("opening the entry %q: %w", name, err)
	}
	if size > limit {
		file.Close()
		return nil, fmt.Errorf("opening the entry %q of %d bytes: %w", name, size, ErrTooLarge)
	}
	return file, nil
}

// Has tells whether there is anything where the entry's file would be.
func (s *Store) Has(name entryname.Name) (bool, error) {
	dir, base, err := s.parent(name, false)
	if errors.Is(err, ErrNoEntry) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer dir.Close()
	var stat unix.Stat_t
	err = unix.Fstatat(fd(dir), base, &stat, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking for the entry %q: %w", name, err)
	}
	return true, nil
}

// parent opens the directory of an entry, and returns the name of its file there.
func (s *Store) parent(name entryname.Name, create bool) (dir *os.File, base string, err error) {
	parts := strings.Split(string(name), "/")
	dir, err = reopen(s.dir)
	if err != nil {
		return nil, "", fmt.Errorf("opening the password store: %w", err)
	}
	for _, part := range parts[:len(parts)-1] {
		if create {
			// An error shows when it is opened.
			_ = unix.Mkdirat(fd(dir), part, 0o700)
		}
		next, err := openDir(dir, part)
		dir.Close()
		if err != nil {
			return nil, "", fmt.Errorf("opening the directory of %q: %w", name, err)
		}
		dir = next
	}
	return dir, parts[len(parts)-1] + suffix, nil
}

func reopen(dir *os.File) (*os.File, error) {
	n, err := unix.Openat(fd(dir), ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(n), dir.Name()), nil
}

func openDir(dir *os.File, name string) (*os.File, error) {
	n, err := unix.Openat(fd(dir), name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, absent(err)
	}
	// By this path Go asks what an entry is, where the directory does not say.
	return os.NewFile(uintptr(n), dir.Name()+"/"+name), nil
}

// openRegular opens a file that is neither a link nor anything else that is none.
func openRegular(dir *os.File, name string) (*os.File, int64, error) {
	// Without O_NONBLOCK a named pipe would hold up the guard.
	n, err := unix.Openat(fd(dir), name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, 0, absent(err)
	}
	file := os.NewFile(uintptr(n), name)
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = ErrNoEntry
	}
	if err != nil {
		file.Close()
		return nil, 0, err
	}
	return file, info.Size(), nil
}

// absent: links, devices and what lies below a file are no entries.
func absent(err error) error {
	for _, no := range []error{unix.ENOENT, unix.ENOTDIR, unix.ELOOP, unix.ENXIO, unix.ENAMETOOLONG} {
		if errors.Is(err, no) {
			return fmt.Errorf("%w: %w", ErrNoEntry, err)
		}
	}
	return err
}

// read reads a small regular file.
func read(dir *os.File, name string, limit int64) ([]byte, error) {
	file, size, err := openRegular(dir, name)
	if err != nil {
		return nil, fmt.Errorf("opening %q: %w", name, err)
	}
	defer file.Close()
	if size > limit {
		return nil, fmt.Errorf("reading %q: %w", name, ErrTooLarge)
	}
	b, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, fmt.Errorf("reading %q: %w", name, err)
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("reading %q: %w", name, ErrTooLarge)
	}
	return b, nil
}

func fd(f *os.File) int { return int(f.Fd()) }
