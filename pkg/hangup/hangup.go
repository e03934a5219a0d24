// Package hangup tells a peer that is gone from one that only stopped sending.
//
// On a Unix stream socket a reader sees EOF in both cases. poll(2) knows the
// difference: shutdown(SHUT_WR) by the peer is POLLRDHUP, close is POLLHUP.
package hangup

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ErrBlocking says that the descriptor is not in non-blocking mode.
var ErrBlocking = errors.New("the descriptor is in blocking mode")

// probeTime is how often [WatchOutput] tries whether the peer still reads.
const probeTime = 250 * time.Millisecond

// Watcher watches one socket.
type Watcher struct {
	file *os.File
	gone chan struct{}
	tell func() // closes gone, once
	ends chan struct{}
	all  sync.WaitGroup
}

// Watch begins to watch the socket behind conn. It works on a duplicate of the
// descriptor, so that it can wait while another goroutine is blocked in a read
// or write of the original. Close must be called. It fails for a descriptor in
// blocking mode, which the runtime cannot wait for; what has no peer, such as a
// regular file, never hangs up.
func Watch(conn syscall.Conn) (*Watcher, error) {
	return begin(conn, 0)
}

// WatchInput is Watch for a peer that has closed the socket or only stopped
// sending. What it sent before is still there to be read.
func WatchInput(conn syscall.Conn) (*Watcher, error) {
	return begin(conn, unix.POLLRDHUP)
}

// WatchOutput is Watch for a peer that has closed the socket or reads no more, which
// poll(2) does not tell. qrexec leaves a service's output so, when its client was
// killed: open, and without a reader (agent/qrexec-agent-data.c, libqrexec/remote.c).
func WatchOutput(conn syscall.Conn) (*Watcher, error) {
	w, err := begin(conn, 0)
	if err == nil {
		w.all.Go(w.probe)
	}
	return w, err
}

func begin(conn syscall.Conn, also int16) (*Watcher, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("watching for the peer's end: %w", err)
	}
	dup, dupErr := -1, error(nil)
	if err := raw.Control(func(fd uintptr) {
		dup, dupErr = duplicate(int(fd))
	}); err != nil {
		return nil, fmt.Errorf("watching for the peer's end: %w", err)
	}
	if dupErr != nil {
		return nil, fmt.Errorf("watching for the peer's end: %w", dupErr)
	}
	w := &Watcher{
		file: os.NewFile(uintptr(dup), "watched"),
		gone: make(chan struct{}),
		ends: make(chan struct{}),
	}
	w.tell = sync.OnceFunc(func() { close(w.gone) })
	w.all.Go(func() { w.run(also) })
	return w, nil
}

func duplicate(fd int) (int, error) {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil {
		return -1, err
	}
	if flags&unix.O_NONBLOCK == 0 {
		return -1, ErrBlocking
	}
	return unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
}

// Gone is closed when what is watched for has happened.
func (w *Watcher) Gone() <-chan struct{} { return w.gone }

// Close ends the watch.
func (w *Watcher) Close() {
	close(w.ends)
	w.file.Close()
	w.all.Wait()
}

// probe sends nothing at all, over and over: the kernel looks whether there is a
// reader before it looks what is sent (net/unix/af_unix.c, unix_stream_sendmsg).
func (w *Watcher) probe() {
	raw, err := w.file.SyscallConn()
	if err != nil {
		return
	}
	for {
		var sent error
		if raw.Control(func(fd uintptr) { sent = unix.Sendto(int(fd), nil, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT, nil) }) != nil {
			return // closed
		}
		if errors.Is(sent, unix.EPIPE) {
			w.tell()
			return
		}
		select {
		case <-w.ends:
			return
		case <-w.gone:
			return
		case <-time.After(probeTime):
		}
	}
}

func (w *Watcher) run(also int16) {
	raw, err := w.file.SyscallConn()
	if err != nil {
		return
	}
	// The runtime's poller wakes this function at every change of the
	// socket's state; false waits for the next. An error means Close.
	if raw.Read(func(fd uintptr) bool { return hungUp(fd, also) }) == nil {
		w.tell()
	}
}

func hungUp(fd uintptr, also int16) bool {
	fds := []unix.PollFd{{Fd: int32(fd), Events: also}}
	for {
		_, err := unix.Poll(fds, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		return err == nil && fds[0].Revents&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL|also) != 0
	}
}
