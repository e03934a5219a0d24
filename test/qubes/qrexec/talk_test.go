package qrexec_test

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// mode is how a client's stdio is wired.
type mode string

const (
	modeA mode = "A, one socket as descriptors 0 and 1"
	modeB mode = "B, the same with --use-stdin-socket"
	modeP mode = "P, two pipes"
)

// conversation is a running client and the local peer's ends of its stdio.
type conversation struct {
	t   testing.TB
	cmd *exec.Cmd
	in  *os.File // the peer writes here
	out *os.File // and reads here; the same socket in modes A and B
	log *os.File
}

func (b *bench) talk(m mode, args ...string) *conversation {
	b.t.Helper()
	if m == modeB {
		args = append([]string{"--use-stdin-socket"}, args...)
	}
	c := &conversation{t: b.t, cmd: b.Command(b.t.Context(), "work", args...)}
	log, err := os.CreateTemp(b.t.TempDir(), "stderr")
	if err != nil {
		b.t.Fatal(err)
	}
	c.log, c.cmd.Stderr = log, log
	theirs := []*os.File{}
	if m == modeP {
		inR, inW, err1 := os.Pipe()
		outR, outW, err2 := os.Pipe()
		if err1 != nil || err2 != nil {
			b.t.Fatal(err1, err2)
		}
		c.in, c.out, c.cmd.Stdin, c.cmd.Stdout = inW, outR, inR, outW
		theirs = append(theirs, inR, outW)
	} else {
		ours, theirEnd := socketPair(b.t)
		c.in, c.out, c.cmd.Stdin, c.cmd.Stdout = ours, ours, theirEnd, theirEnd
		theirs = append(theirs, theirEnd)
	}
	if err := c.cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	for _, f := range theirs {
		_ = f.Close()
	}
	b.t.Cleanup(func() {
		_ = c.cmd.Process.Kill()
		_, _, _ = c.in.Close(), c.out.Close(), c.log.Close()
	})
	return c
}

func socketPair(t testing.TB) (a, b *os.File) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.SetNonblock(fds[0], true); err != nil { // so that deadlines work on our end
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fds[0]), "peer"), os.NewFile(uintptr(fds[1]), "client")
}

func (c *conversation) say(text string) {
	c.t.Helper()
	if _, err := c.in.WriteString(text); err != nil {
		c.t.Fatal(err)
	}
}

// hear reads exactly what is expected.
func (c *conversation) hear(text string) {
	c.t.Helper()
	got := make([]byte, len(text))
	_ = c.out.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.ReadFull(c.out, got); err != nil || string(got) != text {
		c.t.Fatalf("heard %q, %v; want %q", got, err, text)
	}
}

func (c *conversation) halfClose() {
	c.t.Helper()
	if c.in != c.out {
		_ = c.in.Close()
		return
	}
	raw, err := c.in.SyscallConn()
	if err != nil {
		c.t.Fatal(err)
	}
	_ = raw.Control(func(fd uintptr) { err = unix.Shutdown(int(fd), unix.SHUT_WR) })
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *conversation) close() { _, _ = c.in.Close(), c.out.Close() }

// hearEOF reads to the end.
func (c *conversation) hearEOF() {
	c.t.Helper()
	_ = c.out.SetReadDeadline(time.Now().Add(patience))
	rest, err := io.ReadAll(c.out)
	if err != nil || len(rest) > 0 {
		c.t.Fatalf("heard %q, %v; want the end of file", rest, err)
	}
}

// hearNothing checks that there is neither data nor an end of file for a while.
func (c *conversation) hearNothing() {
	c.t.Helper()
	_ = c.out.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	n, err := c.out.Read(make([]byte, 1))
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Fatalf("heard %d bytes, %v; want silence", n, err)
	}
}

// exits waits for the client's end.
func (c *conversation) exits(code int) {
	c.t.Helper()
	done := make(chan error, 1)
	go func() { done <- c.cmd.Wait() }()
	select {
	case err := <-done:
		if got := exitCode(c.t, err); got != code {
			text, _ := os.ReadFile(c.log.Name())
			c.t.Fatalf("the client exited with %d, want %d; stderr %q", got, code, text)
		}
	case <-time.After(patience):
		c.t.Fatal("the client did not exit")
	}
}

func (c *conversation) stays() {
	c.t.Helper()
	never(c.t, "the client exited", func() bool {
		state, err := os.ReadFile("/proc/" + strconv.Itoa(c.cmd.Process.Pid) + "/stat")
		return err != nil || strings.Contains(string(state), ") Z ")
	})
}

func eachMode(t *testing.T, test func(t *testing.T, m mode)) {
	t.Helper()
	for _, m := range []mode{modeA, modeB, modeP} {
		t.Run(string(m), func(t *testing.T) { test(t, m) })
	}
}
