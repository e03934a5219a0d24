// Package stdio opens a guard's standard input, output and error for what they
// are: the ends of a call from another qube.
//
// qrexec hands a service two socketpairs in blocking mode, for which Go's
// runtime has no deadlines, and a pipe for standard error, all of which is shown
// in the calling qube (qubes-core-qrexec, libqrexec/exec.c, agent/qrexec-agent-data.c).
package stdio

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Open returns standard input and output in non-blocking mode. It fails for
// what has no deadlines in any mode, such as a regular file.
func Open() (in, out *os.File, err error) {
	if in, err = open(os.Stdin); err != nil {
		return nil, nil, err
	}
	if out, err = open(os.Stdout); err != nil {
		return nil, nil, err
	}
	return in, out, nil
}

func open(given *os.File) (*os.File, error) {
	// Handed over in non-blocking mode it is in the runtime's poller by now.
	if given.SetDeadline(time.Time{}) == nil {
		return given, nil
	}
	fd := int(given.Fd())
	// A terminal shares its mode with the shell.
	if terminal(fd) {
		return nil, fmt.Errorf("opening %s: it is a terminal: this program is started by qrexec", given.Name())
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, fmt.Errorf("opening %s: %w", given.Name(), err)
	}
	file := os.NewFile(uintptr(fd), given.Name())
	if err := file.SetDeadline(time.Time{}); err != nil {
		return nil, fmt.Errorf("opening %s (this program is started by qrexec): %w", given.Name(), err)
	}
	return file, nil
}

func terminal(fd int) bool {
	_, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	return err == nil
}
