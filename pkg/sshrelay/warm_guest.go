package sshrelay

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/splitvault/splitvault/pkg/sshagent"
)

// find connects to a relay that keeps a call and is free to serve it; nil: none.
func (w *Warm) find() *warmLine {
	entries, err := os.ReadDir(w.Dir)
	if err != nil {
		return nil
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), w.prefix()) {
			continue
		}
		path := filepath.Join(w.Dir, e.Name())
		conn, err := net.DialTimeout("unix", path, greetTime)
		if err != nil {
			if gone(e.Name()) {
				_ = os.Remove(path) // its relay was killed
			}
			continue
		}
		if greeted(conn) {
			return newWarmLine(conn)
		}
		conn.Close()
	}
	return nil
}

// gone tells whether the process that a socket is named after has ended.
func gone(name string) bool {
	_, pid, _ := strings.Cut(name, ".")
	_, err := os.Stat(filepath.Join("/proc", filepath.Base(pid)))
	return errors.Is(err, os.ErrNotExist)
}

func greeted(conn net.Conn) bool {
	if !own(conn) || conn.SetReadDeadline(time.Now().Add(greetTime)) != nil {
		return false
	}
	untrusted := make([]byte, 1)
	n, err := conn.Read(untrusted)
	return err == nil && string(untrusted[:n]) == greeting && conn.SetReadDeadline(time.Time{}) == nil
}

// warmLine is a call that another relay keeps.
type warmLine struct {
	conn    net.Conn
	replies chan reply
	closed  chan struct{}
	dead    chan struct{}
}

func newWarmLine(conn net.Conn) *warmLine {
	l := &warmLine{conn: conn, replies: make(chan reply), closed: make(chan struct{}), dead: make(chan struct{})}
	go l.receive()
	return l
}

func (l *warmLine) receive() {
	reader := sshagent.NewReader(l.conn, sshagent.MaxReply, sshagent.FrameTime)
	for {
		frame, err := reader.Next()
		if err != nil {
			close(l.dead)
		}
		select {
		case l.replies <- reply{frame, err}:
		case <-l.closed:
			return
		}
		if err != nil {
			return
		}
	}
}

// errWarmBroken says that a call ended under a request; the relay that keeps it
// has more on the cause in the journal's lines of the vault alone.
var errWarmBroken = errors.New("the call to the vault, which was another connection's before, ended without an answer: try again")

// Exchange is as that of a call of one's own, but for the causes that can be told.
func (l *warmLine) Exchange(ctx context.Context, f sshagent.Frame, last <-chan struct{}) (sshagent.Frame, error) {
	select {
	case <-l.dead:
		return sshagent.Frame{}, &CallError{Unsent: true}
	default:
	}
	// An error means that the keeper has closed, which the reading finds out.
	if err := l.conn.SetWriteDeadline(time.Now().Add(clientWriteTime)); err == nil {
		_, _ = l.conn.Write(f.Bytes())
	}
	for {
		select {
		case <-ctx.Done():
			return sshagent.Frame{}, ctx.Err()
		case <-last:
			last = nil
			if c, ok := l.conn.(*net.UnixConn); ok {
				_ = c.CloseWrite()
			}
		case r := <-l.replies:
			switch {
			case r.err == nil:
				return r.frame, nil
			case errors.Is(r.err, sshagent.ErrEmpty): // goodbye
				return sshagent.Frame{}, &CallError{Unsent: true}
			default:
				return sshagent.Frame{}, errWarmBroken
			}
		}
	}
}

// Dead is closed when the keeper has closed.
func (l *warmLine) Dead() <-chan struct{} { return l.dead }

// Close leaves the call to its keeper.
func (l *warmLine) Close() {
	close(l.closed)
	l.conn.Close()
}
