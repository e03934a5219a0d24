package x11

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// silent is a display that takes requests and never answers.
func silent(t *testing.T) *Conn {
	t.Helper()
	ours, theirs := net.Pipe()
	go func() { _, _ = io.Copy(io.Discard, theirs) }()
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	return &Conn{conn: ours}
}

// A display that hangs holds up neither who types nor who offers a text.
func TestADisplayThatDoesNotAnswerIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		if err := silent(t).Sync(); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) > replyTime {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// An interruption holds also for what is awaited later, and events may take for ever.
func TestInterrupt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := silent(t)
		start := time.Now()
		time.AfterFunc(time.Hour, c.Interrupt)
		if _, err := c.Event(); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Hour {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if _, err := c.Event(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
		if err := c.Sync(); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Hour {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		c.Resume()
		if err := c.Sync(); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Hour+replyTime {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}
