package sshrelay

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/splitvault/splitvault/pkg/sshagent"
)

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
