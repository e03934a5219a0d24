package status

import (
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// locked returns the inodes on which somebody holds a flock(2). A line of
// /proc/locks is, by proc_locks(5),
//
//	1: FLOCK  ADVISORY  WRITE 4711 00:2a:1234 0 EOF
//
// and one of a process that waits has "->" after its number. The device is not
// compared: an overlay or a mount may show another one than stat(2) does. All
// our files are in one file system, where an inode is unique; a lock on the same
// inode of another one could show a call too many.
func (s Source) locked() (map[uint64]bool, error) {
	text, err := os.ReadFile(s.Locks)
	if err != nil {
		return nil, fmt.Errorf("looking for calls: %w", err)
	}
	inodes := map[uint64]bool{}
	for line := range strings.Lines(string(text)) {
		var number, kind, mandatory, mode, file string
		var pid int
		if n, err := fmt.Sscan(line, &number, &kind, &mandatory, &mode, &pid, &file); err != nil || n != 6 || kind != "FLOCK" {
			continue
		}
		var major, minor uint32
		var inode uint64
		if _, err := fmt.Sscanf(file, "%x:%x:%d", &major, &minor, &inode); err == nil {
			inodes[inode] = true
		}
	}
	return inodes, nil
}

func identify(e fs.DirEntry) (uint64, error) {
	info, err := e.Info()
	if err != nil {
		return 0, err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, fs.ErrInvalid
	}
	return st.Ino, nil
}
