package stdio

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// TakeStderr returns standard error, for the one generic line that the calling
// qube may see, and lets descriptor 2 lead to another file instead: what Go's
// runtime writes when a program crashes tells of the vault's state, and goes to
// descriptor 2. instead is closed here, and stays open as descriptor 2 alone. A
// terminal is left as it is.
func TakeStderr(instead *os.File) (*os.File, error) {
	defer instead.Close()
	if terminal(unix.Stderr) {
		return os.Stderr, nil
	}
	fd, err := unix.FcntlInt(uintptr(unix.Stderr), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, fmt.Errorf("taking standard error: %w", err)
	}
	client := os.NewFile(uintptr(fd), "stderr")
	if err := unix.Dup3(int(instead.Fd()), unix.Stderr, 0); err != nil {
		client.Close()
		return nil, fmt.Errorf("taking standard error: %w", err)
	}
	return client, nil
}
