package stdio

import (
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// JournalStream is the socket on which systemd-journald takes lines of text.
const JournalStream = "/run/systemd/journal/stdout"

// streamTime bounds the connecting to a journal that does not answer.
const streamTime = 200 * time.Millisecond

// TakeStderr returns standard error, for the one generic line that the calling
// qube may see, and lets descriptor 2 lead to the journal instead, or nowhere if
// none is there: what Go's runtime writes when a program crashes tells of the
// vault's state, and goes to descriptor 2. stream is [JournalStream]; identifier
// is what journalctl -t takes. A terminal is left as it is.
func TakeStderr(stream, identifier string) (*os.File, error) {
	if terminal(unix.Stderr) {
		return os.Stderr, nil
	}
	fd, err := unix.FcntlInt(uintptr(unix.Stderr), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, fmt.Errorf("taking standard error: %w", err)
	}
	client := os.NewFile(uintptr(fd), "stderr")
	instead, err := journalStream(stream, identifier)
	if err != nil {
		instead, err = os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	}
	if err != nil {
		client.Close()
		return nil, fmt.Errorf("taking standard error: %w", err)
	}
	defer instead.Close()
	if err := unix.Dup3(int(instead.Fd()), unix.Stderr, 0); err != nil {
		client.Close()
		return nil, fmt.Errorf("taking standard error: %w", err)
	}
	// A journal that takes nothing must not hold up a crash.
	if err := unix.SetNonblock(unix.Stderr, true); err != nil {
		client.Close()
		return nil, fmt.Errorf("taking standard error: %w", err)
	}
	return client, nil
}

// journalStream connects to the journal and says who writes: the lines that
// sd_journal_stream_fd(3) sends, in the order of systemd's src/journal/journald-stream.c.
func journalStream(path, identifier string) (*os.File, error) {
	conn, err := net.DialTimeout("unix", path, streamTime)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.SetWriteDeadline(time.Now().Add(streamTime)); err != nil {
		return nil, err
	}
	// Identifier, unit, priority (error), then no priority in the lines
	// themselves, and no copies to syslog, kernel log and console.
	if _, err := fmt.Fprintf(conn, "%s\n\n3\n0\n0\n0\n0\n", identifier); err != nil {
		return nil, err
	}
	return conn.(*net.UnixConn).File()
}
