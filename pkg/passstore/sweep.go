package passstore

import (
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	temporaryPrefix = ".splitvault-"
	// leftAfter is the age at which a temporary file is nobody's any more: an entry is
	// written in much less.
	leftAfter = 10 * time.Minute
)

// sweep removes what a writer that was killed has left in a directory. It is no entry, and
// nobody needs it: errors are for the next writer.
func sweep(dir *os.File) {
	list, err := reopen(dir)
	if err != nil {
		return
	}
	defer list.Close()
	names, err := list.Readdirnames(-1)
	if err != nil {
		return
	}
	for _, name := range names {
		if !strings.HasPrefix(name, temporaryPrefix) {
			continue
		}
		var stat unix.Stat_t
		err := unix.Fstatat(fd(dir), name, &stat, unix.AT_SYMLINK_NOFOLLOW)
		if err == nil && stat.Mode&unix.S_IFMT == unix.S_IFREG && time.Since(time.Unix(stat.Mtim.Unix())) > leftAfter {
			_ = unix.Unlinkat(fd(dir), name, 0)
		}
	}
}
