package consentd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/splitvault/splitvault/pkg/consent"
	"github.com/splitvault/splitvault/pkg/journal"
	"github.com/splitvault/splitvault/pkg/peer"
)

const (
	maxConns  = 256
	lineTime  = 5 * time.Second // from a line's first byte to its last
	writeTime = 2 * time.Second
	idleCheck = 100 // times a time to linger
)

// Server serves the socket.
type Server struct {
	Desk    *Desk
	Notices *Notices
	Log     logrus.FieldLogger

	conns atomic.Int32
}

// Serve accepts connections until ctx ends or nothing needs this process any
// more. It closes the listener and returns when the last connection has ended.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, func() { listener.Close() })()
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	all.Go(func() { s.Desk.Run(ctx) })
	all.Go(func() { s.endWhenIdle(ctx, cancel) })
	for {
		conn, err := listener.Accept()
		if ctx.Err() != nil {
			if err == nil {
				conn.Close()
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("accepting a guard: %w", err)
		}
		if s.conns.Add(1) > maxConns {
			s.conns.Add(-1)
			conn.Close() // which the guard takes as no
			s.Log.WithField(journal.Count, maxConns).Error("too many guards at once")
			continue
		}
		all.Go(func() {
			defer s.conns.Add(-1)
			s.serve(ctx, conn)
		})
	}
}

// endWhenIdle calls end when nobody is connected and the desk is idle. A guard
// that is connected cannot connect again, so it keeps the process alive.
func (s *Server) endWhenIdle(ctx context.Context, end func()) {
	ticker := time.NewTicker(max(s.Desk.times.Linger/idleCheck, 10*time.Millisecond))
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if s.conns.Load() == 0 && s.Desk.Idle() && s.Notices.Idle() {
				s.Log.Info("nothing left to do")
				end()
				return
			}
		}
	}
}

// serve talks with one client.
func (s *Server) serve(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	p, err := peer.Of(conn)
	if err != nil || p.UID != os.Getuid() {
		s.Log.WithFields(logrus.Fields{journal.PeerUID: p.UID, journal.PeerPID: p.PID, journal.Err: err}).Error("a connection of another user is refused")
		return
	}
	log := s.Log.WithFields(logrus.Fields{journal.PeerPID: p.PID, journal.PeerComm: p.Comm})
	if err := write(conn, consent.Greeting()); err != nil {
		return
	}
	reader := bufio.NewReaderSize(conn, consent.MaxRequest)
	for {
		message, err := read(conn, reader)
		if err != nil {
			if !errors.Is(err, io.EOF) && ctx.Err() == nil {
				log.WithField(journal.Err, err).Error("a client is refused")
			}
			return
		}
		if message.Notice != nil {
			s.Notices.Tell(ctx, *message.Notice)
			continue
		}
		reply, ok := s.reply(ctx, conn, reader, message)
		if !ok || write(conn, reply) != nil {
			return
		}
	}
}

// read waits for the first byte of a line as long as the client lives: a guard
// may ask after hours. The rest must follow soon.
func read(conn net.Conn, reader *bufio.Reader) (consent.Message, error) {
	if err := conn.SetReadDeadline(time.Time{}); err != nil {
		return consent.Message{}, err
	}
	if _, err := reader.Peek(1); err != nil {
		return consent.Message{}, err
	}
	if err := conn.SetReadDeadline(time.Now().Add(lineTime)); err != nil {
		return consent.Message{}, err
	}
	untrusted, err := consent.ReadLine(reader)
	if err != nil {
		return consent.Message{}, err
	}
	return consent.ParseMessage(untrusted)
}

func write(conn net.Conn, v any) error {
	line, err := consent.Encode(v, consent.MaxState)
	if err != nil {
		return err
	}
	if err := conn.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return err
	}
	_, err = conn.Write(line)
	return err
}

// reply does what a message wants. It is false if the client is gone.
func (s *Server) reply(ctx context.Context, conn net.Conn, reader *bufio.Reader, m consent.Message) (consent.Reply, bool) {
	switch {
	case m.Ask != nil:
		return s.ask(ctx, conn, reader, m.Ask)
	case m.Show != nil:
		state, err := s.Desk.State()
		if err != nil {
			return consent.Reply{Err: err.Error()}, true
		}
		return consent.Reply{State: &state}, true
	case m.Revoke != nil:
		return consent.Reply{Count: s.Desk.Revoke(*m.Revoke)}, true
	case m.Pause != nil:
		count, err := s.Desk.Pause(*m.Pause)
		if err != nil {
			return consent.Reply{Err: err.Error()}, true
		}
		return consent.Reply{Count: count}, true
	default:
		return consent.Reply{}, false
	}
}

// ask waits for an answer while it watches the connection: its end withdraws the
// question, and so does anything that comes before the answer.
func (s *Server) ask(ctx context.Context, conn net.Conn, reader *bufio.Reader, q *consent.Question) (consent.Reply, bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := conn.SetReadDeadline(time.Time{}); err != nil {
		return consent.Reply{}, false
	}
	watched := make(chan error, 1)
	go func() {
		_, err := reader.Peek(1)
		cancel()
		watched <- err
	}()
	answer := s.Desk.Ask(ctx, q.Screen, q.Request())
	// Wakes the watcher; read sets another deadline.
	if err := conn.SetReadDeadline(time.Unix(1, 0)); err != nil {
		return consent.Reply{}, false
	}
	if err := <-watched; !errors.Is(err, os.ErrDeadlineExceeded) {
		return consent.Reply{}, false
	}
	return answer.Reply(), true
}
