package sshrelay

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/splitvault/splitvault/pkg/peer"
	"github.com/splitvault/splitvault/pkg/sshagent"
)

// A warm line is a call that outlives its client: the relay that placed it keeps
// it for a while, and the relays of the user's next clients send their messages
// through that relay. Between any two clients the guard is made to forget the
// first (reset@splitvault); a vault whose guard cannot do that has no warm lines.
//
// They meet at a socket in a directory of the user's own, one for each kept call,
// and both look at the other's user. The keeper greets whom it serves, and closes
// on all others, so that nothing was sent where nothing is served. When it ends in
// good order it says goodbye: a request that it has not answered it has not taken
// either, and the guest makes it anew over a call of its own. Without a goodbye
// nobody knows what became of the request.
const (
	maxWarm     = 10 * time.Second // how long a call waits for its next client
	maxWarmLife = 60 * time.Second // from the start of the relay that placed it
	greetTime   = 100 * time.Millisecond
	cleanTime   = 2 * time.Second
	greeting    = "\x01"
	goodbye     = "\x00\x00\x00\x00"   // no message has this length
	comeTime    = 5 * time.Millisecond // between two guests a keeper is busy for a moment
	contention  = 100 * time.Millisecond
)

// Warm is where relays meet whose calls lead to the same place.
type Warm struct {
	Dir  string        // of this user with mode 0700, see rundir
	For  time.Duration // how long a call is kept, at most maxWarm
	Kind string        // what calls must have in common
}

// prefix begins the names of the sockets for this kind of call.
func (w *Warm) prefix() string {
	sum := sha256.Sum256([]byte(w.Kind))
	return hex.EncodeToString(sum[:8]) + "."
}

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

// own tells whether a process of this user is at the other end.
func own(conn net.Conn) bool {
	p, err := peer.Of(conn)
	return err == nil && p.UID == os.Getuid()
}

// Keep serves other relays' clients through a call whose client has left, and
// returns when it has closed the call. Its
// errors are those of the meeting place. began is when this relay started.
func (w *Warm) Keep(ctx context.Context, call Line, began time.Time, contended func() bool) error {
	defer call.Close()
	if !offersReset(ctx, call) {
		return nil
	}
	// Named after the process, of which one keeps one call.
	path := filepath.Join(w.Dir, w.prefix()+strconv.Itoa(os.Getpid()))
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return fmt.Errorf("keeping a call: %w", err)
	}
	k := &keeper{warm: w, call: call, listener: listener, guests: make(chan net.Conn)}
	go k.accept()
	defer listener.Close() // removes the socket
	if err := os.Chmod(path, 0o600); err != nil {
		return fmt.Errorf("keeping a call: %w", err)
	}
	for clean(ctx, call) {
		guest := k.next(ctx, time.Until(began.Add(maxWarmLife)), contended)
		if guest == nil || !k.serve(ctx, guest, began.Add(maxWarmLife)) {
			break
		}
	}
	return nil
}

type keeper struct {
	warm     *Warm
	call     Line
	listener *net.UnixListener
	guests   chan net.Conn
}

// accept hands on one guest at a time, and closes on those who would have to wait.
func (k *keeper) accept() {
	for {
		conn, err := k.listener.Accept()
		if err != nil {
			return
		}
		if !own(conn) {
			conn.Close()
			continue
		}
		select {
		case k.guests <- conn:
		case <-time.After(comeTime):
			conn.Close()
		}
	}
}

// next waits for a guest; nil: it is time to end. Others who wait for a place
// and do not come here have it.
func (k *keeper) next(ctx context.Context, left time.Duration, contended func() bool) net.Conn {
	until := time.NewTimer(min(k.warm.For, left))
	defer until.Stop()
	look := time.NewTicker(contention)
	defer look.Stop()
	waited := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-until.C:
			return nil
		case <-k.call.Dead():
			return nil
		case conn := <-k.guests:
			return conn
		case <-look.C:
			if contended() && waited {
				return nil
			}
			waited = contended()
		}
	}
}

// serve passes one guest's messages on, and tells whether the call is of further
// use then.
func (k *keeper) serve(ctx context.Context, guest net.Conn, until time.Time) bool {
	defer guest.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if _, err := guest.Write([]byte(greeting)); err != nil {
		return true
	}
	requests := make(chan received)
	go readGuest(ctx, guest, requests)
	old := time.NewTimer(time.Until(until))
	defer old.Stop()
	for {
		var request received
		select {
		case <-ctx.Done():
			return k.dismiss(guest)
		case <-k.call.Dead():
			return k.dismiss(guest)
		case <-old.C:
			return k.dismiss(guest)
		case request = <-requests:
		}
		if request.err != nil {
			return true // the guest has left
		}
		usable, ok := k.pass(ctx, guest, request.frame, requests)
		if !ok {
			return usable
		}
	}
}

// dismiss ends a guest's part of the call between two requests, and the call.
func (k *keeper) dismiss(guest net.Conn) (usable bool) {
	_, _ = guest.Write([]byte(goodbye)) // or it has left
	return false
}

func readGuest(ctx context.Context, guest net.Conn, to chan<- received) {
	r := Relay{Client: guest}
	r.receive(ctx, to)
}

// pass passes on one request. usable tells whether the call is, ok whether the
// guest may go on.
func (k *keeper) pass(ctx context.Context, guest net.Conn, request sshagent.Frame, more <-chan received) (usable, ok bool) {
	switch sshagent.Classify(request) {
	case sshagent.List, sshagent.Sign, sshagent.Bind, sshagent.Query:
	default:
		return true, false // a relay sends nothing else
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	left := make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-more: // a relay waits for each answer: it has left, or is none
			close(left)
		case <-ctx.Done():
		}
	}()
	reply, err := k.call.Exchange(ctx, request, left)
	cancel()
	<-watched
	if err != nil || !sshagent.Answers(sshagent.Classify(request), reply) {
		return false, false
	}
	select {
	case <-left:
		return false, false // the call's input has ended with the guest's
	default:
	}
	if guest.SetWriteDeadline(time.Now().Add(clientWriteTime)) != nil {
		return true, false
	}
	_, err = guest.Write(reply.Bytes())
	return true, err == nil
}

// offersReset tells whether the guard of a call can forget a client.
func offersReset(ctx context.Context, call Line) bool {
	ctx, cancel := context.WithTimeout(ctx, cleanTime)
	defer cancel()
	reply, err := call.Exchange(ctx, sshagent.QueryRequest(), nil)
	return err == nil && sshagent.Offers(reply, sshagent.ExtensionReset)
}

// clean makes the guard of a call forget its client.
func clean(ctx context.Context, call Line) bool {
	ctx, cancel := context.WithTimeout(ctx, cleanTime)
	defer cancel()
	reply, err := call.Exchange(ctx, sshagent.ResetRequest(), nil)
	return err == nil && reply.Type() == sshagent.TypeSuccess
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

// parseWarm reads SPLITVAULT_SSH_WARM.
func parseWarm(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d > maxWarm {
		return 0, fmt.Errorf(`reading SPLITVAULT_SSH_WARM: %.40q is no duration up to %v, such as "10s"`, text, maxWarm)
	}
	return d, nil
}
