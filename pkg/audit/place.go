package audit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

const (
	fileName = "audit.jsonl"
	copyName = "audit.rotating" // a rotation in progress, or what is left of one
	// Keep is how many rotated files are kept.
	Keep = 4
)

// ErrUnsafe says that the file is not this user's alone.
var ErrUnsafe = errors.New("not a regular file of this user with mode 0600 and one name")

// Dir returns the directory of the audit files: $XDG_STATE_HOME/splitvault, or
// ~/.local/state/splitvault (XDG Base Directory Specification 0.8).
func Dir(getenv func(string) string) (string, error) {
	if dir := getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "splitvault"), nil
	}
	if home := getenv("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".local/state/splitvault"), nil
	}
	return "", errors.New("finding the audit file: neither XDG_STATE_HOME nor HOME is set")
}

// Path returns the path of the file that was rotated N times, 0 for the newest.
func Path(dir string, n int) string {
	if n == 0 {
		return filepath.Join(dir, fileName)
	}
	return filepath.Join(dir, "audit."+strconv.Itoa(n)+".jsonl")
}

// makeDir makes the directory, and those above it where they are missing.
func makeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the audit directory: %w", err)
	}
	var st unix.Stat_t
	if err := unix.Lstat(dir, &st); err != nil {
		return fmt.Errorf("checking the audit directory %q: %w", dir, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR || int(st.Uid) != os.Getuid() || st.Mode&0o022 != 0 {
		return fmt.Errorf("checking the audit directory %q: not a directory that only this user can write to (chmod 700)", dir)
	}
	return nil
}

// openFile opens a file of the directory for appending.
func openFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the audit file: %w", err)
	}
	if err := checkFile(f); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func checkFile(f *os.File) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return fmt.Errorf("checking %q: %w", f.Name(), err)
	}
	// No name at all: another process has just renamed it.
	if st.Mode&unix.S_IFMT != unix.S_IFREG || int(st.Uid) != os.Getuid() || st.Mode&0o077 != 0 || st.Nlink > 1 {
		return fmt.Errorf("checking %q: %w", f.Name(), ErrUnsafe)
	}
	return nil
}
