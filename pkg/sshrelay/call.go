package sshrelay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/splitvault/splitvault/pkg/qrexec"
	"github.com/splitvault/splitvault/pkg/slots"
	"github.com/splitvault/splitvault/pkg/sshagent"
)

const (
	// endGrace is the time a vault has to end after the end of its input. It is
	// far more than an honest guard needs.
	endGrace = 500 * time.Millisecond
	// drainGrace is the time for what the client program wrote before it ended.
	drainGrace = time.Second
)

// CallError is a call that ended without the answer that was due.
type CallError struct {
	Outcome qrexec.Outcome
	Reply   error // what was wrong with the reply, nil if there was none
	First   bool  // the call had not given a reply before
	Unsent  bool  // the call had ended before the request was written to it
}

func (e *CallError) Error() string {
	if e.Reply != nil {
		return fmt.Sprintf("the vault's reply is no agent message: %v", e.Reply)
	}
	return "the call to the vault ended: " + e.Outcome.Cause()
}

func (e *CallError) Unwrap() error { return e.Reply }

// errUnasked says that a reply came before its request.
var errUnasked = errors.New("the vault spoke without being asked: the call is given up")

// Dialer places calls.
type Dialer struct {
	Pool    *slots.Pool // nil: no bound
	Client  string      // the program that places calls
	Target  qrexec.Target
	Service qrexec.Service
	Warm    *Warm // nil: calls end with their clients
}

// Dial waits for a place in the pool and places a call, or finds one that another
// relay keeps.
func (d *Dialer) Dial(ctx context.Context) (Line, error) {
	var slot *slots.Slot
	if d.Pool != nil {
		var warm *warmLine
		var err error
		slot, err = d.Pool.AcquireOr(ctx, func() bool {
			if d.Warm != nil {
				warm = d.Warm.find()
			}
			return warm != nil
		})
		if err != nil {
			return nil, err
		}
		if warm != nil {
			return warm, nil
		}
	}
	call, err := qrexec.Start(d.Client, d.Target, d.Service)
	if err != nil {
		if slot != nil {
			err = errors.Join(err, slot.Release())
		}
		return nil, err
	}
	l := &line{call: call, slot: slot, replies: make(chan reply), closed: make(chan struct{})}
	go l.receive()
	return l, nil
}

// Contended tells whether others wait for a place.
func (d *Dialer) Contended() bool {
	if d.Pool == nil {
		return false
	}
	waiting, err := d.Pool.Contended()
	return waiting && err == nil
}

type line struct {
	call    *qrexec.Call
	slot    *slots.Slot
	replies chan reply
	closed  chan struct{}
	used    bool // has given a reply
	last    bool // its input has ended
}

// Keepable tells whether another client's messages may follow.
func (l *line) Keepable() bool {
	select {
	case <-l.call.Done():
		return false
	default:
		return l.used && !l.last
	}
}

type reply struct {
	frame sshagent.Frame
	err   error
}

// receive reads replies until the first error. A reply that nobody waits for
// stays here until Close, and no other is read.
func (l *line) receive() {
	reader := sshagent.NewReader(l.call.Out, sshagent.MaxReply, sshagent.FrameTime)
	for {
		frame, err := reader.Next()
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

// Exchange has no deadline of its own: behind it a person may be reading a
// prompt in dom0 or in the vault. The client's patience ends it.
func (l *line) Exchange(ctx context.Context, f sshagent.Frame, last <-chan struct{}) (sshagent.Frame, error) {
	if err := l.ready(); err != nil {
		return sshagent.Frame{}, err
	}
	written, sent := make(chan int, 1), 0 // bytes
	go func() {
		// An error means that the call has ended; the end of its output says more.
		n, _ := l.call.In.Write(f.Bytes())
		written <- n
	}()
	fail := func(err error) (sshagent.Frame, error) {
		e := l.failed(err)
		if written != nil {
			sent = <-written // the end of the call has ended the write
		}
		e.Unsent = sent == 0 && l.used && e.Reply == nil
		return sshagent.Frame{}, e
	}
	var afterWrite <-chan struct{} // last, once the request is written
	var drained <-chan time.Time
	done := l.call.Done()
	for {
		select {
		case <-ctx.Done():
			return sshagent.Frame{}, ctx.Err()
		case sent = <-written:
			written, afterWrite = nil, last
		case <-afterWrite:
			afterWrite, l.last = nil, true
			_ = l.call.In.Close()
		case <-done:
			// The end of the output follows, but for a child of the client
			// program that has it still open.
			done, drained = nil, time.After(drainGrace)
		case <-drained:
			return fail(io.ErrUnexpectedEOF)
		case r := <-l.replies:
			if r.err != nil {
				return fail(r.err)
			}
			l.used = true
			return r.frame, nil
		}
	}
}

// ready fails where the call has said something, or has ended, before it is
// asked. A new call may have: its error is better told with the request, which
// it has not answered.
func (l *line) ready() error {
	if !l.used {
		return nil
	}
	select {
	case r := <-l.replies:
		if r.err == nil {
			return errUnasked
		}
		err := l.failed(r.err)
		err.Unsent = err.Reply == nil
		return err
	case <-l.call.Done():
		err := l.failed(io.EOF)
		err.Unsent = true
		return err
	default:
		return nil
	}
}

// failed makes the error of a call whose output ended or made no sense.
func (l *line) failed(err error) *CallError {
	e := &CallError{First: !l.used}
	grace := endGrace
	if errors.Is(err, sshagent.ErrTooLarge) || errors.Is(err, sshagent.ErrEmpty) || errors.Is(err, sshagent.ErrSlow) {
		e.Reply = err
		grace = 0
	}
	l.call.End(grace)
	e.Outcome = l.call.Outcome()
	return e
}

// Dead is closed when the client program has ended.
func (l *line) Dead() <-chan struct{} { return l.call.Done() }

// Close ends the call in good order and gives its place back when it is gone.
func (l *line) Close() {
	close(l.closed)
	l.call.End(endGrace)
	l.call.Out.Close()
	if l.slot != nil {
		// Only a lock file is closed; the place is free in any case.
		_ = l.slot.Release()
	}
}
