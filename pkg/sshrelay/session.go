package sshrelay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/splitvault/splitvault/pkg/sshagent"
)

// session is the client's state: its session-binds, and the call, if there is
// one.
type session struct {
	relay *Relay
	line  Line
	binds []bound   // in order
	ahead *received // what the client sent while the last request was served
	last  time.Time // when the last reply came
	timer *time.Timer
}

// bound is a session-bind that the vault has answered. One that it refused counts
// too: what it said of forwarding is believed all the same.
type bound struct {
	request sshagent.Frame
	reply   sshagent.MessageType
}

// maxBinds is more than clients send; the first ones say where they come from.
const maxBinds = 2 * sshagent.MaxBindings

// await waits for the client's next message, and lets the call go meanwhile
// when that is due. Its only error is that the client went away.
func (s *session) await(ctx context.Context, requests chan received) (received, error) {
	if s.ahead != nil {
		next := *s.ahead
		s.ahead = nil
		return next, nil
	}
	for {
		select {
		case <-ctx.Done():
			return received{}, ctx.Err()
		case <-s.dead():
			s.drop()
		case <-s.idle():
			s.letGoIfDue()
		case next := <-requests:
			return next, nil
		}
	}
}

// serve returns the reply to a request. Its only error is that the client went
// away meanwhile.
func (s *session) serve(ctx context.Context, request sshagent.Frame, more chan received) (sshagent.Frame, error) {
	class := sshagent.Classify(request)
	switch class {
	case sshagent.List, sshagent.Sign, sshagent.Bind, sshagent.Query:
	default: // reset is ours to send, not the client's
		s.relay.Stats.Refused++
		s.relay.Refused(request)
		return sshagent.Failure(), nil
	}
	if class == sshagent.Bind && len(s.binds) == maxBinds {
		return sshagent.ExtensionFailure(), nil // as an agent does
	}
	reply, err := s.exchange(ctx, request, more)
	if ctx.Err() != nil {
		return sshagent.Frame{}, ctx.Err()
	}
	if err != nil {
		s.relay.Failed(err)
		return sshagent.Failure(), nil
	}
	if class == sshagent.Bind {
		s.binds = append(s.binds, bound{request, reply.Type()})
	}
	return reply, nil
}

// exchange has the vault answer one request. Meanwhile it looks one message
// ahead, to learn whether the client has stopped sending.
func (s *session) exchange(ctx context.Context, request sshagent.Frame, more chan received) (sshagent.Frame, error) {
	ctx, cancel := context.WithCancel(ctx)
	last := make(chan struct{})
	lookedAhead := make(chan struct{})
	go func() {
		defer close(lookedAhead)
		select {
		case next := <-more:
			if next.err != nil {
				close(last)
			}
			s.ahead = &next
		case <-ctx.Done():
		}
	}()
	defer func() {
		cancel()
		<-lookedAhead
	}()
	reply, err := s.ask(ctx, request, last)
	// A call that ended while nothing was outstanding is made anew, once. One
	// that ended with the request in it is not: a signature asked for twice is
	// a second prompt.
	if call, ok := errors.AsType[*CallError](err); ok && call.Unsent {
		reply, err = s.ask(ctx, request, last)
	}
	return reply, err
}

// ask sends a request over the call there is, or a new one. Any error ends the
// call.
func (s *session) ask(ctx context.Context, request sshagent.Frame, last <-chan struct{}) (sshagent.Frame, error) {
	if s.line == nil {
		if err := s.dial(ctx); err != nil {
			return sshagent.Frame{}, err
		}
	}
	reply, err := s.line.Exchange(ctx, request, last)
	if err != nil {
		s.drop()
		return sshagent.Frame{}, err
	}
	if !sshagent.Answers(sshagent.Classify(request), reply) {
		s.drop()
		return sshagent.Frame{}, fmt.Errorf("the vault answered %v with %v, which is no answer to it: the call is given up", request.Type(), reply.Type())
	}
	s.last = time.Now()
	return reply, nil
}

func (s *session) dial(ctx context.Context) error {
	line, err := s.relay.Dial(ctx)
	if err != nil {
		return err
	}
	s.relay.Stats.Calls++
	s.line = line
	for _, bind := range s.binds {
		reply, err := line.Exchange(ctx, bind.request, nil)
		if err != nil {
			s.drop()
			return err
		}
		if reply.Type() != bind.reply {
			s.drop()
			return fmt.Errorf("the vault judges this connection's session binding otherwise than before: it answered %v", reply.Type())
		}
	}
	return nil
}

// drop ends the call, if there is one.
func (s *session) drop() {
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	if s.line != nil {
		s.line.Close()
		s.line = nil
	}
}

// keepable takes the call out of the session, if it may be of use to others.
func (s *session) keepable(stopped bool) Line {
	call, ok := s.line.(interface{ Keepable() bool })
	if s.relay.Keep == nil || stopped || !ok || !call.Keepable() {
		return nil
	}
	kept := s.line
	s.line = nil
	return kept
}

// dead returns a channel that is closed when the call has ended by itself.
func (s *session) dead() <-chan struct{} {
	if s.line == nil {
		return nil
	}
	return s.line.Dead()
}

// idle returns a channel that speaks when it is time to think about letting
// the call go.
func (s *session) idle() <-chan time.Time {
	if s.line == nil {
		return nil
	}
	if s.timer == nil {
		s.timer = time.NewTimer(min(max(time.Since(s.last)/8, contentionCheck), contentionMax))
	}
	return s.timer.C
}

func (s *session) letGoIfDue() {
	s.timer = nil
	held := time.Since(s.last)
	if s.relay.Idle > 0 && held >= s.relay.Idle || s.relay.Contended() {
		s.drop()
	}
}
