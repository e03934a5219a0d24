package knownhosts

import (
	"bufio"
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
func Load(paths ...string) (*DB, error) {
	db := &DB{keys: map[string][]entry{}}
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
	return db.read(path, io.LimitReader(f, maxFile))
}

// read takes one file's text.
func (db *DB) read(path string, r io.Reader) error {
	lines := bufio.NewReaderSize(r, maxLine)
	for number := 1; ; number++ {
		line, err := lines.ReadSlice('\n')
		tooLong := errors.Is(err, bufio.ErrBufferFull)
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = lines.ReadSlice('\n')
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		switch text := strings.Trim(string(line), " \t\r\n"); {
		case tooLong:
			db.skip(path, number)
		case text == "" || text[0] == '#':
		default:
			db.add(path, number, text)
		}
		if err != nil {
			return nil
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
