// Package secret holds bytes that must not outlive their use: in memory of their
// own, outside Go's heap, which copies and forgets nothing. The memory is locked,
// so that it is not swapped out, and left out of core dumps; Wipe zeroes it.
//
// That is as far as a process goes: what qrexec, pipes, sockets and the programs at
// their ends keep is not in its hands.
package secret

import (
	"errors"
	"fmt"
	"io"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ErrTooLarge says that there is more than was allowed for.
var ErrTooLarge = errors.New("too large")

// first is the first size of a buffer, in bytes: passwords are small, and every
// page of a locked buffer costs.
const first = 16 << 10

// Buffer is a growing buffer. The zero Buffer is empty and ready for use.
type Buffer struct {
	mem []byte // the whole mapping
	n   int    // bytes in use
}

// Bytes returns what is in the buffer; it may be used until the next call of
// another method.
func (b *Buffer) Bytes() []byte { return b.mem[:b.n] }

// Len returns the number of bytes in the buffer.
func (b *Buffer) Len() int { return b.n }

// Write appends p.
func (b *Buffer) Write(p []byte) (int, error) {
	if err := b.reserve(len(p)); err != nil {
		return 0, err
	}
	b.n += copy(b.mem[b.n:], p)
	return len(p), nil
}

// ReadAll appends what r has to its end, in reads straight into the buffer. With
// more than limit bytes in the buffer it fails with [ErrTooLarge].
func (b *Buffer) ReadAll(r io.Reader, limit int) error {
	for {
		if err := b.reserve(1); err != nil {
			return err
		}
		n, err := r.Read(b.mem[b.n:])
		b.n += n
		switch {
		case b.n > limit:
			return ErrTooLarge
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// ReadOnce appends what one read of r gives, at most n bytes.
func (b *Buffer) ReadOnce(r io.Reader, n int) error {
	if err := b.reserve(n); err != nil {
		return err
	}
	got, err := r.Read(b.mem[b.n : b.n+n])
	b.n += got
	if got > 0 {
		return nil
	}
	return err
}

// ReadN appends exactly n bytes of r.
func (b *Buffer) ReadN(r io.Reader, n int) error {
	if err := b.reserve(n); err != nil {
		return err
	}
	got, err := io.ReadFull(r, b.mem[b.n:b.n+n])
	b.n += got
	if errors.Is(err, io.EOF) && n > 0 {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Cut keeps the first n bytes, and zeroes the rest.
func (b *Buffer) Cut(n int) {
	clear(b.mem[n:b.n])
	b.n = n
}

// Drop forgets the first n bytes.
func (b *Buffer) Drop(n int) {
	left := copy(b.mem, b.mem[n:b.n])
	b.Cut(left)
}

// Wipe zeroes the buffer and gives its memory back; it is empty then.
func (b *Buffer) Wipe() {
	if b.mem == nil {
		return
	}
	clear(b.mem)
	// Of a mapping of our own there is no error to hear.
	_ = unix.Munmap(b.mem)
	b.mem, b.n = nil, 0
}

// reserve makes room for n more bytes.
func (b *Buffer) reserve(n int) error {
	if len(b.mem)-b.n >= n {
		return nil
	}
	// Twice as much: while it grows both are locked, and a user may lock 8 MiB.
	size := max(first, len(b.mem)*2)
	for size-b.n < n {
		size *= 2
	}
	mem, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return fmt.Errorf("getting %d bytes for a secret: %w", size, err)
	}
	// Beyond RLIMIT_MEMLOCK it is not locked, of which Lockable warns; to refuse
	// the secret then would help nobody.
	_ = unix.Mlock(mem)
	_ = unix.Madvise(mem, unix.MADV_DONTDUMP)
	kept := copy(mem, b.Bytes())
	b.Wipe()
	b.mem, b.n = mem, kept
	return nil
}

// Lockable tells whether this process may lock n bytes, so that what is in a
// [Buffer] is not swapped out; the error says why not. A program calls it once, and
// tells its owner. It touches none of the memory that it asks for.
func Lockable(n int) error {
	mem, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return fmt.Errorf("getting %d bytes: %w", n, err)
	}
	defer func() { _ = unix.Munmap(mem) }() // as in Wipe
	_, _, errno := unix.Syscall(unix.SYS_MLOCK2, uintptr(unsafe.Pointer(unsafe.SliceData(mem))), uintptr(n), unix.MLOCK_ONFAULT)
	if errno != 0 {
		return fmt.Errorf("locking %d bytes (RLIMIT_MEMLOCK): %w", n, errno)
	}
	return nil
}

// Harden keeps this process from leaving a core dump, and other processes of the
// user from reading its memory.
func Harden() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("making the process undumpable: %w", err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("forbidding core dumps: %w", err)
	}
	return nil
}
