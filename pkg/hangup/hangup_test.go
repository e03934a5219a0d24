package hangup

import (
	"errors"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// pair returns the two ends of a socketpair.
func pair(t *testing.T) (ours, theirs *net.UnixConn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ends := make([]*net.UnixConn, len(fds))
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "pair")
		conn, err := net.FileConn(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		ends[i] = conn.(*net.UnixConn)
	}
	return ends[0], ends[1]
}

func watch(t *testing.T, conn syscall.Conn) *Watcher {
	t.Helper()
	w, err := Watch(conn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

func gone(w *Watcher, within time.Duration) bool {
	select {
	case <-w.Gone():
		return true
	case <-time.After(within):
		return false
	}
}

func TestGoneMeansClosedAndNothingElse(t *testing.T) {
	t.Parallel()
	send := func(c *net.UnixConn) error {
		_, err := c.Write(make([]byte, 10_000))
		return err
	}
	for _, tt := range []struct {
		name string
		do   []func(*net.UnixConn) error
		want bool
	}{
		{"nothing happens", nil, false},
		{"data", []func(*net.UnixConn) error{send}, false},
		{"stops sending", []func(*net.UnixConn) error{(*net.UnixConn).CloseWrite}, false},
		{"stops sending after data that nobody has read", []func(*net.UnixConn) error{send, (*net.UnixConn).CloseWrite}, false},
		{"stops reading", []func(*net.UnixConn) error{(*net.UnixConn).CloseRead}, false},
		{"closes", []func(*net.UnixConn) error{(*net.UnixConn).Close}, true},
		{"closes after data that nobody has read", []func(*net.UnixConn) error{send, (*net.UnixConn).Close}, true},
		{"stops sending, then closes", []func(*net.UnixConn) error{send, (*net.UnixConn).CloseWrite, (*net.UnixConn).Close}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ours, theirs := pair(t)
			w := watch(t, ours)
			for _, do := range tt.do {
				if gone(w, 20*time.Millisecond) {
					t.Fatal("gone too early")
				}
				if err := do(theirs); err != nil {
					t.Fatal(err)
				}
			}
			within := 50 * time.Millisecond
			if tt.want {
				within = 10 * time.Second
			}
			if got := gone(w, within); got != tt.want {
				t.Errorf("gone: %v, want %v", got, tt.want)
			}
		})
	}
}

func TestSeenWhileAnotherGoroutineReads(t *testing.T) {
	t.Parallel()
	ours, theirs := pair(t)
	w := watch(t, ours)
	read := make(chan error, 1)
	go func() {
		_, err := ours.Read(make([]byte, 1))
		read <- err
	}()
	theirs.Close()
	if !gone(w, 10*time.Second) {
		t.Error("the end was not seen")
	}
	if err := <-read; err == nil {
		t.Error("the reader was not told")
	}
}

func TestCloseBeforeTheEnd(t *testing.T) {
	t.Parallel()
	ours, theirs := pair(t)
	w, err := Watch(ours)
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
	if gone(w, 0) {
		t.Error("closing the watch counts as the peer's end")
	}
	// The watch held a duplicate: the original still works, and its end shows.
	if _, err := ours.Write([]byte("x")); err != nil {
		t.Error(err)
	}
	ours.Close()
	if err := theirs.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := theirs.Read(make([]byte, 1)); err != nil {
		t.Error(err)
	}
	if _, err := theirs.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a duplicate was left open: %v", err)
	}
}

// A watch that could never fire must not be begun.
func TestBlockingDescriptorIsAnError(t *testing.T) {
	t.Parallel()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[1])
	f := os.NewFile(uintptr(fds[0]), "blocking")
	defer f.Close()
	if _, err := Watch(f); !errors.Is(err, ErrBlocking) {
		t.Errorf("error %v, want ErrBlocking", err)
	}
}

func TestReaderOfAPipeGoesAway(t *testing.T) {
	t.Parallel()
	r, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	w := watch(t, out)
	if gone(w, 20*time.Millisecond) {
		t.Error("gone too early")
	}
	r.Close()
	if !gone(w, 10*time.Second) {
		t.Error("the end was not seen")
	}
}

// A peer that only stopped sending is seen where that is asked for, and what it
// sent is still there.
func TestWatchInputSeesAPeerThatStopsSending(t *testing.T) {
	t.Parallel()
	ours, peer := pair(t)
	w, err := WatchInput(ours)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, err := peer.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	select {
	case <-w.Gone():
		t.Fatal("data count as an end")
	case <-time.After(20 * time.Millisecond):
	}
	if err := peer.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-w.Gone():
	case <-time.After(5 * time.Second):
		t.Fatal("the end is not seen")
	}
	if n, err := ours.Read(make([]byte, 2)); n != 1 || err != nil {
		t.Errorf("read %d, %v", n, err)
	}
}

// qrexec leaves the output of a service so when its client was killed; and a peer that
// only sends no more, or does not read just now, is there.
func TestAPeerThatWillNotReadIsGoneForOutput(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		do   func(peer *net.UnixConn) error
		want bool
	}{
		"reads no more": {func(c *net.UnixConn) error { return c.CloseRead() }, true},
		"closed":        {func(c *net.UnixConn) error { return c.Close() }, true},
		"sends no more": {func(c *net.UnixConn) error { return c.CloseWrite() }, false},
		"waits":         {func(*net.UnixConn) error { return nil }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ours, theirs := pair(t)
			w, err := WatchOutput(ours)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(w.Close)
			if gone(w, 3*probeTime) {
				t.Fatal("gone before anything happened")
			}
			if err := tt.do(theirs); err != nil {
				t.Fatal(err)
			}
			within := 10 * time.Second
			if !tt.want {
				within = 3 * probeTime
			}
			if gone(w, within) != tt.want {
				t.Errorf("gone: %v, want %v", !tt.want, tt.want)
			}
			if tt.want || name == "sends no more" {
				return
			}
			// Nothing was sent by looking.
			if _, err := ours.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			buffer := make([]byte, 10)
			if n, err := theirs.Read(buffer); n != 1 || err != nil {
				t.Errorf("the peer reads %q, %v", buffer[:n], err)
			}
		})
	}
}
