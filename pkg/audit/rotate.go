package audit

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// DefaultCap is the size in bytes beyond which Open rotates.
const DefaultCap = 16 << 20

// openAudit opens the file for one daemon, rotates it if it is too big, and
// gives it its first line if it has none. A rotation that fails is no reason to
// record nothing: it is returned as trouble beside the file.
func openAudit(dir, daemon string, most int64, now func() time.Time) (f *file, head string, trouble error, err error) {
	if err := makeDir(dir); err != nil {
		return nil, "", nil, err
	}
	opened, err := openFile(Path(dir, 0))
	if err != nil {
		return nil, "", nil, err
	}
	f = newFile(opened, daemon, now)
	rotated, trouble := f.rotate(dir, most)
	begun, err := f.begin(dir)
	if err != nil {
		f.Close()
		return nil, "", trouble, err
	}
	if begun == "" {
		begun = rotated
	}
	return f, begun, trouble, nil
}

// begin gives an empty file its first line.
func (f *file) begin(dir string) (head string, err error) {
	if size, err := f.size(); err != nil || size > 0 {
		return "", err
	}
	if err := lock(f.fd, Patience); err != nil {
		return "", err
	}
	defer unlock(f.fd)
	if size, err := f.size(); err != nil || size > 0 {
		return "", err
	}
	return f.first(tailBefore(dir))
}

// first writes the first line of an empty file; t is the end of the one before.
func (f *file) first(t tail) (head string, err error) {
	message := MessageContinues
	if t.seq == 0 && t.prev == (Hash{}) {
		message = MessageBegins
	}
	t.newline = true
	return f.write(t, []event{{level: levelInfo, message: message}})
}

// tailBefore is the end of the newest rotated file; zero if there is none.
func tailBefore(dir string) tail {
	old, err := os.OpenFile(Path(dir, 1), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return tail{}
	}
	defer old.Close()
	return tailOf(old)
}

// tailOf is the end of a file. One without any line in it is still part of the
// chain, by the hash of all of it.
func tailOf(f *os.File) tail {
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return tail{}
	}
	if t, err := readTail(f, info.Size()); err == nil {
		return t
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, io.NewSectionReader(f, 0, info.Size())); err != nil {
		return tail{}
	}
	return tail{prev: Hash(sum.Sum(nil))}
}

func (f *file) size() (int64, error) {
	var st unix.Stat_t
	if err := unix.Fstat(f.fd, &st); err != nil {
		return 0, fmt.Errorf("looking at the audit file: %w", err)
	}
	return st.Size, nil
}

// rotate moves the lines to audit.1.jsonl if there are too many, by copying them
// and emptying the file. The copy is on the disk before anything is taken away.
func (f *file) rotate(dir string, most int64) (head string, err error) {
	if due, err := f.isDue(most); err != nil || !due {
		return "", err
	}
	path := filepath.Join(dir, copyName)
	to, err := openFile(path)
	if err != nil {
		return "", err
	}
	defer to.Close()
	if err := unix.Flock(int(to.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return "", nil //nolint:nilerr // another process rotates just now
	}
	// Another process may have finished meanwhile: then this is audit.1.jsonl.
	if !isAt(to, path) {
		return "", nil
	}
	if due, err := f.isDue(most); err != nil || !due {
		os.Remove(path)
		return "", err
	}
	if head, err = f.moveTo(dir, to); err != nil {
		if isAt(to, path) {
			os.Remove(path)
		}
		if errors.Is(err, errOvertaken) {
			return "", nil
		}
		return "", fmt.Errorf("rotating the audit file: %w", err)
	}
	return head, nil
}

// isDue tells whether the file is too big, or has something in it to which no
// line can be chained.
func (f *file) isDue(most int64) (bool, error) {
	size, err := f.size()
	if err != nil || size == 0 || size >= most {
		return size >= most && size > 0, err
	}
	_, err = readTail(f, size)
	if errors.Is(err, errNoLine) {
		return true, nil
	}
	return false, nil // an error shows itself again when there is something to write
}

// errOvertaken says that another process emptied the file while it was copied.
var errOvertaken = errors.New("another process rotates")

// moveTo copies most of the file before it takes the lock, so that other
// writers wait for little.
func (f *file) moveTo(dir string, to *os.File) (head string, err error) {
	if err := to.Truncate(0); err != nil {
		return "", err
	}
	if err := f.copyFrom(0, to); err != nil {
		return "", err
	}
	if err := lock(f.fd, Patience); err != nil {
		return "", err
	}
	defer unlock(f.fd)
	if !sameStart(f.File, to) {
		return "", errOvertaken
	}
	t, err := f.end()
	if err != nil && !errors.Is(err, errNoLine) {
		return "", err
	}
	if t.damaged {
		if _, err := f.append(); err != nil {
			return "", err
		}
	}
	copied, err := to.Seek(0, io.SeekEnd)
	if err != nil {
		return "", err
	}
	if err := f.copyFrom(copied, to); err != nil {
		return "", err
	}
	t = tailOf(f.File)
	if err := shift(dir, f.File, to); err != nil {
		return "", err
	}
	if err := f.Truncate(0); err != nil {
		return "", err
	}
	return f.first(t)
}

// copyFrom appends what the file has from an offset on, and waits for the disk.
func (f *file) copyFrom(from int64, to *os.File) error {
	size, err := f.size()
	if err != nil {
		return err
	}
	if _, err := io.Copy(to, io.NewSectionReader(f, from, size-from)); err != nil {
		return err
	}
	return to.Sync()
}

// shift makes room for the copy and gives it its name. The oldest file goes,
// unless a name in between is free. A copy that an earlier rotation left, before
// it could empty the file, is replaced.
func shift(dir string, from, to *os.File) error {
	if !isLeftover(dir, from) {
		free := 1
		for free < Keep && exists(Path(dir, free)) {
			free++
		}
		for n := free; n > 1; n-- {
			if err := os.Rename(Path(dir, n-1), Path(dir, n)); err != nil {
				return err
			}
		}
	}
	if err := os.Rename(to.Name(), Path(dir, 1)); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// isLeftover tells whether audit.1.jsonl begins as the file does.
func isLeftover(dir string, from *os.File) bool {
	old, err := os.OpenFile(Path(dir, 1), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer old.Close()
	return sameStart(from, old)
}

// sameStart tells whether a file begins as the start of a copy does: no two
// files of a chain have the same first line.
func sameStart(whole, part *os.File) bool {
	a, b := make([]byte, MaxLine), make([]byte, MaxLine)
	n, _ := part.ReadAt(b, 0)
	m, _ := whole.ReadAt(a[:n], 0)
	return n > 0 && bytes.Equal(a[:m], b[:n])
}

// isAt tells whether a path still leads to the open file.
func isAt(f *os.File, path string) bool {
	ours, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(path)
	return err == nil && os.SameFile(ours, there)
}
