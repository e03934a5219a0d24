package stdio

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// TakeStderr returns standard error, for the one generic line that the calling
// qube may see, and lets descriptor 2 lead nowhere: what Go's runtime writes when a
// program crashes tells of the vault's state, and goes to descriptor 2. A terminal is
// left as it is.
func TakeStderr() (*os.File, error) {
	if terminal(unix.Stderr) {
		return os.Stderr, nil
	}
	fd, err := unix.FcntlInt(uintptr(unix.Stderr), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, fmt.Errorf("taking standard error: %w", err)
	}
	client := os.NewFile(uintptr(fd), "stderr")
	nowhere, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err == nil {
		err = LeadStderr(nowhere)
	}
	if err != nil {
		client.Close()
		return nil, fmt.Errorf("taking standard error: %w", err)
	}
	return client, nil
}

// LeadStderr lets descriptor 2 lead to a file, which is closed here and stays open as
// descriptor 2 alone. A terminal is left as it is.
func LeadStderr(to *os.File) error {
	defer to.Close()
	if terminal(unix.Stderr) {
		return nil
	}
	return unix.Dup3(int(to.Fd()), unix.Stderr, 0)
}
