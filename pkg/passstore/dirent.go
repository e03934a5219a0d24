package passstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// direntBuffer is what one system call may give of a directory, in bytes.
const direntBuffer = 16 << 10

// dirent is one entry of a directory.
type dirent struct {
	name []byte // never empty; of the buffer
	kind uint8  // unix.DT_…
}

// Offsets in struct linux_dirent64 (getdents(2)): inode and offset of eight bytes
// each, then these. The name ends with a zero.
const (
	lengthAt = 16 // of two bytes: of the whole entry
	kindAt   = 18
	nameAt   = 19
)

var errDirent = errors.New("a directory's entry that is none")

// getdents reads the next entries of a directory, none at its end.
func getdents(dir int, buffer []byte) ([]byte, error) {
	for {
		n, err := unix.Getdents(dir, buffer)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading a directory: %w", os.NewSyscallError("getdents64", err))
		}
		return buffer[:n], nil
	}
}

// nextDirent takes one entry off what getdents has read.
func nextDirent(read []byte) (one dirent, rest []byte, err error) {
	if len(read) <= nameAt {
		return dirent{}, nil, errDirent
	}
	length := int(binary.NativeEndian.Uint16(read[lengthAt:]))
	if length <= nameAt || length > len(read) {
		return dirent{}, nil, errDirent
	}
	name, _, ended := bytes.Cut(read[nameAt:length], []byte{0})
	if !ended || len(name) == 0 {
		return dirent{}, nil, errDirent
	}
	return dirent{name, read[kindAt]}, read[length:], nil
}

// kindOf asks what an entry is; of what is gone, or cannot be told, it is nothing
// that is listed.
func kindOf(dir int, name string) uint8 {
	var stat unix.Stat_t
	if unix.Fstatat(dir, name, &stat, unix.AT_SYMLINK_NOFOLLOW) != nil {
		return unix.DT_UNKNOWN
	}
	return uint8(stat.Mode & unix.S_IFMT >> 12) // IFTODT of dirent.h
}
