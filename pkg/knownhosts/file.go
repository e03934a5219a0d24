package knownhosts

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	maxFile = 8 << 20  // bytes of a file
	maxLine = 64 << 10 // bytes of a line: a longer one is skipped
)

// Shipped is the file that comes with the package, with the host keys that well
// known servers publish.
const Shipped = "/usr/share/splitvault/known_hosts"

// Paths returns the files that ssh reads by default (ssh_config(5),
// UserKnownHostsFile and GlobalKnownHostsFile), and [Shipped] if that is wanted.
func Paths(getenv func(string) string, shipped bool) []string {
	paths := []string{"/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"}
	if home := getenv("HOME"); filepath.IsAbs(home) {
		paths = append([]string{filepath.Join(home, ".ssh/known_hosts"), filepath.Join(home, ".ssh/known_hosts2")}, paths...)
	}
	if shipped {
		paths = append(paths, Shipped)
	}
	return paths
}

// Load reads the files; one that does not exist is empty. With an error there is
// no DB, because what could not be read may revoke a key; a nil DB knows no host.
// The lines are looked into when the DB is first asked: most calls to a guard name
// no host, and people have thousands of them.
func Load(paths ...string) (*DB, error) {
	db := &DB{}
	for _, path := range paths {
		if err := db.load(path); err != nil {
			return nil, fmt.Errorf("reading the known hosts in %q: %w", path, err)
		}
	}
	return db, nil
}

func (db *DB) load(path string) error {
	// Without O_NONBLOCK a named pipe would hold up the caller.
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("not a regular file")
	}
	if info.Size() > maxFile {
		return fmt.Errorf("larger than %d MiB", maxFile>>20)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile))
	db.unread = append(db.unread, unread{path, text})
	return err
}

// unread is a file before its lines are looked into.
type unread struct {
	path string
	text []byte
}

// lines looks into the files' lines, once.
func (db *DB) lines() {
	db.once.Do(func() {
		db.keys = map[string][]entry{}
		for _, u := range db.unread {
			db.read(u.path, u.text)
		}
		db.unread = nil
	})
}

// read takes one file's text.
func (db *DB) read(path string, all []byte) {
	number := 0
	for line := range bytes.Lines(all) {
		number++
		switch text := strings.Trim(string(line[:min(len(line), maxLine)]), " \t\r\n"); {
		case len(line) > maxLine:
			db.skip(path, number)
		case text == "" || text[0] == '#':
		default:
			db.add(path, number, text)
		}
	}
}

func (db *DB) skip(path string, line int) {
	if db.bad == 0 {
		db.firstBad = position(path, line)
	}
	db.bad++
}

func position(path string, line int) string { return fmt.Sprintf("%s:%d", path, line) }
