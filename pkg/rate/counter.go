package rate

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

const (
	recordSize = 8               // a time in nanoseconds since 1970, big-endian
	maxSize    = 64 << 20        // bytes of a file: beyond it nothing is counted any more
	trimSize   = 1 << 20         // bytes of a file that Open shortens
	lockTime   = 2 * time.Second // for a lock, which is held for a few reads and one write
	lockLook   = time.Millisecond
)

var (
	errUnsafe  = errors.New("not a file of this user with mode 0600")
	errDamaged = errors.New("the file is damaged: remove it, it is made anew")
	errFull    = errors.New("the file is full: it is shortened at the next call")
	errLocked  = errors.New("another process keeps it locked")
	errLimit   = errors.New("no limit is given")
)

// Counter counts one rule's uses by one qube. It is safe for use by several
// processes, and not by several goroutines.
type Counter struct{ file *os.File }

// Open opens the counter that belongs to id, any text, in dir, which must exist
// and be closed to others (rundir.Make). All that needs to open a file or change
// its length happens here.
func Open(dir, id string) (*Counter, error) {
	sum := sha256.Sum256([]byte(id))
	path := filepath.Join(dir, hex.EncodeToString(sum[:16]))
	flags := os.O_RDWR | os.O_CREATE | os.O_APPEND | unix.O_NOFOLLOW | unix.O_NONBLOCK
	file, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening a rate counter: %w", err)
	}
	c := &Counter{file: file}
	if err := c.check(); err != nil {
		file.Close()
		return nil, fmt.Errorf("opening the rate counter %q: %w", path, err)
	}
	return c, nil
}

// Close closes the file.
func (c *Counter) Close() error { return c.file.Close() }

// check looks at the file's owner and shortens it if it has grown.
func (c *Counter) check() error {
	var st unix.Stat_t
	if err := unix.Fstat(int(c.file.Fd()), &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG || int(st.Uid) != os.Getuid() || st.Mode&0o077 != 0 {
		return errUnsafe
	}
	if st.Size <= trimSize {
		return nil
	}
	unlock, err := c.lock()
	if err != nil {
		return err
	}
	defer unlock()
	size, err := c.size() // it may have been shortened meanwhile
	if err != nil || size <= trimSize {
		return err
	}
	newest, err := c.newest(size, MaxCount)
	if err != nil {
		return err
	}
	if err := c.file.Truncate(0); err != nil {
		return err
	}
	_, err = c.file.Write(newest)
	return err
}

// Allow tells whether one more use at now is within the limit, and counts it if
// so. Whatever goes wrong, and a nil Counter, means that it is not.
//
// A use counts while less than limit.Per lies between it and now, in either
// direction: a clock that was set back does not give new uses as long as it is
// by less than that, and one that was set back by more, or forth, begins anew.
func (c *Counter) Allow(now time.Time, limit Limit) (bool, error) {
	if c == nil {
		return false, errors.New("counting a use: no counter")
	}
	if limit.Count < 1 || limit.Count > MaxCount || limit.Per <= 0 {
		return false, fmt.Errorf("counting a use: %w", errLimit)
	}
	unlock, err := c.lock()
	if err != nil {
		return false, fmt.Errorf("counting a use: %w", err)
	}
	defer unlock()
	within, err := c.count(now, limit)
	if err != nil {
		return false, fmt.Errorf("counting a use: %w", err)
	}
	return within, nil
}

// Used tells how many uses count at now towards a limit, limit.Count at most, and
// counts none. Of a nil Counter nobody can tell.
func (c *Counter) Used(now time.Time, limit Limit) (int, error) {
	if c == nil {
		return 0, errors.New("counting uses: no counter")
	}
	unlock, err := c.lock()
	if err != nil {
		return 0, fmt.Errorf("counting uses: %w", err)
	}
	defer unlock()
	used, err := c.used(now, limit)
	if err != nil {
		return 0, fmt.Errorf("counting uses: %w", err)
	}
	return used, nil
}

// count is called under the lock.
func (c *Counter) count(now time.Time, limit Limit) (bool, error) {
	used, err := c.used(now, limit)
	if err != nil || used >= limit.Count {
		return false, err
	}
	record := binary.BigEndian.AppendUint64(nil, uint64(now.UnixNano()))
	if _, err := c.file.Write(record); err != nil {
		return false, err
	}
	return true, nil
}

// used is called under the lock.
func (c *Counter) used(now time.Time, limit Limit) (int, error) {
	size, err := c.size()
	if err != nil {
		return 0, err
	}
	if size%recordSize != 0 {
		return 0, errDamaged
	}
	if size >= maxSize {
		return 0, errFull
	}
	// Older ones than these are not needed: if all of these count, the limit is
	// reached.
	newest, err := c.newest(size, limit.Count)
	if err != nil {
		return 0, err
	}
	used := 0
	for ; len(newest) > 0; newest = newest[recordSize:] {
		at := time.Unix(0, int64(binary.BigEndian.Uint64(newest)))
		if now.Sub(at).Abs() < limit.Per {
			used++
		}
	}
	return used, nil
}

func (c *Counter) size() (int64, error) {
	info, err := c.file.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// newest reads the last n records, or all.
func (c *Counter) newest(size int64, n int) ([]byte, error) {
	want := min(size/recordSize, int64(n)) * recordSize
	b := make([]byte, want)
	if _, err := c.file.ReadAt(b, size-want); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return b, nil
}

// lock waits for the file's lock, for lockTime at most.
func (c *Counter) lock() (unlock func(), err error) {
	ctx, cancel := context.WithTimeout(context.Background(), lockTime)
	defer cancel()
	for {
		switch err := unix.Flock(int(c.file.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
		case err == nil:
			// It ends with the process at the latest.
			return func() { _ = unix.Flock(int(c.file.Fd()), unix.LOCK_UN) }, nil
		case !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR):
			return nil, fmt.Errorf("locking: %w", err)
		}
		select {
		case <-ctx.Done():
			return nil, errLocked
		case <-time.After(lockLook):
		}
	}
}
