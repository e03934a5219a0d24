// Package crash keeps what Go's runtime writes when a guard crashes, until the next
// guard can put it into the journal.
//
// That text tells of the vault's state, so it must not reach standard error, which
// the calling qube sees, and a process that crashes can do no more than write to
// descriptor 2. So that is a file of the vault: the process holds its lock, by
// flock(2), which ends with it however it ends. A file that nobody has locked and
// that is not empty is what a process has left that is dead.
package crash

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// Max is how many files there are of one name, and so how many processes at
	// once have one.
	Max = 256
	// maxText is how much of a file is told: the reason and the first stacks.
	maxText = 16 << 10
	// maxTold is how many texts are told at a time: a journal that hangs takes
	// some time for each, and a caller waits.
	maxTold = 8
)

var (
	// ErrAllTaken says that as many processes live as there are files.
	ErrAllTaken = errors.New("all files are taken")

	errTaken      = errors.New("taken")
	errNotRegular = errors.New("not a regular file")
)

// Path is the file of number n for processes with that name. Numbers begin with 0
// and have no gaps: files are never removed.
func Path(dir, name string, n int) string {
	return filepath.Join(dir, name+"."+strconv.Itoa(n))
}

// Open returns a file for descriptor 2 of a process with that name ("ssh-guard"),
// empty and for appending; dir is the user's own. Whatever holds it open holds its
// lock. earlier is what dead processes have left, printable and bounded; it is in no
// file any more, also where there is an error. What is more than eight of them leaves
// for the next.
func Open(dir, name string) (file *os.File, earlier []string, err error) {
	err = ErrAllTaken
	n := 0
	for ; file == nil && n < Max; n++ {
		f, text, takeErr := take(Path(dir, name, n), os.O_CREATE)
		switch {
		case takeErr == nil:
			file, err = f, nil
			earlier = tell(earlier, text)
		case !errors.Is(takeErr, errTaken):
			err = fmt.Errorf("opening a file for a crash: %w", takeErr)
		}
	}
	// A crash of many at once is told by the next call, too. Here a look costs one
	// system call for each file, as hardly ever there is something in one.
	for ; n < Max && len(earlier) < maxTold; n++ {
		path := Path(dir, name, n)
		var st unix.Stat_t
		if unix.Lstat(path, &st) != nil {
			break
		}
		if st.Mode&unix.S_IFMT != unix.S_IFREG || st.Size == 0 {
			continue
		}
		// Its process may live, and be about to die; then it is the next call's.
		if f, text, takeErr := take(path, 0); takeErr == nil {
			f.Close()
			earlier = tell(earlier, text)
		}
	}
	return file, earlier, err
}

func tell(earlier []string, text string) []string {
	if text == "" {
		return earlier
	}
	return append(earlier, text)
}

// take locks a file and empties it. Who has the lock is the only one to read and to
// empty it, so that no text is told twice and no living process loses its own.
func take(path string, create int) (file *os.File, text string, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|create|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, "", err
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, "", errTaken
	}
	if err != nil {
		return nil, "", fmt.Errorf("locking %s: %w", path, err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, "", err
	}
	if !info.Mode().IsRegular() {
		return nil, "", fmt.Errorf("%s: %w", path, errNotRegular)
	}
	if info.Size() == 0 {
		return f, "", nil
	}
	b := make([]byte, min(info.Size(), maxText))
	if _, err := f.ReadAt(b, 0); err != nil {
		return nil, "", err
	}
	if err := f.Truncate(0); err != nil {
		return nil, "", err
	}
	return f, describe(b, info.Size(), info.ModTime()), nil
}

// describe says when the process died, which is when it last wrote, and what of.
func describe(text []byte, size int64, died time.Time) string {
	said := died.Format(time.RFC3339) + ": " + strings.TrimRight(printable(text), "\n")
	if more := size - int64(len(text)); more > 0 {
		said += fmt.Sprintf("\n(cut: there were %d bytes more)", more)
	}
	return said
}

// printable makes text fit for a terminal: a panic may quote what a client sent.
func printable(text []byte) string {
	for i, c := range text {
		if (c < ' ' || c > '~') && c != '\n' && c != '\t' {
			text[i] = '?'
		}
	}
	return string(text)
}
