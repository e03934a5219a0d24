package sshguard

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	"github.com/splitvault/splitvault/pkg/sshagent"
)

// readAhead is how many messages are taken before their turn. Beyond it an end
// of input shows only when the first is answered; clients wait for each answer.
const readAhead = 8

type message struct {
	frame sshagent.Frame
	err   error
}

// receive reads messages up to the first error, which is the last. From then on
// the client has a moment to get what it has asked for.
func receive(ctx context.Context, cancel context.CancelCauseFunc, reader *sshagent.Reader, to chan<- message) {
	for {
		frame, err := reader.Next()
		if err != nil {
			time.AfterFunc(endGrace, func() { cancel(ErrGone) })
		}
		select {
		case to <- message{frame, err}:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// next prefers the client's end to further messages, and those to the end of what
// they would be answered with.
func (g *Guard) next(ctx context.Context, incoming <-chan message) (message, error) {
	personEnded, ended := g.PersonEnded, error(nil)
	var lacking <-chan time.Time
	if g.lacks != nil {
		personEnded, lacking = nil, time.After(quiet-time.Since(g.answered))
	}
	for ended == nil {
		select {
		case <-ctx.Done():
			return message{}, context.Cause(ctx)
		case m := <-incoming:
			return m, context.Cause(ctx)
		case <-g.AgentEnded:
			ended = ErrAgent
		case <-personEnded:
			g.lacks = ErrPerson
			personEnded, lacking = nil, time.After(quiet-time.Since(g.answered))
		case <-lacking:
			ended = g.lacks
		}
	}
	select {
	case m := <-incoming:
		return m, context.Cause(ctx)
	default:
		return message{}, cmp.Or(context.Cause(ctx), ended)
	}
}

// endOfInput judges the reader's last error.
func (g *Guard) endOfInput(reader *sshagent.Reader, err error) error {
	// A call with a newline for input is how people look whether the service
	// answers at all.
	onlyLooking := errors.Is(err, io.ErrUnexpectedEOF) && g.Stats.Answers == 0 && reader.Buffered() < 4
	switch {
	case errors.Is(err, io.EOF), onlyLooking:
		return nil
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, sshagent.ErrEmpty),
		errors.Is(err, sshagent.ErrTooLarge), errors.Is(err, sshagent.ErrSlow):
		return fmt.Errorf("%w: %w", ErrBadRequest, err)
	case errors.Is(err, syscall.ECONNRESET): // it closed with our answers unread
		return ErrGone
	default:
		return err
	}
}
