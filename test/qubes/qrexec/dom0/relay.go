package dom0

import (
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/splitvault/splitvault/test/qubes/qrexec/internal/wire"
)

// relay stands in the middle of a call's channel and spoils it.
type relay struct {
	service, client *os.File
	shapes          []*Fault
	greeted         sync.WaitGroup // both HELLOs have passed
	once            sync.Once
	done            chan struct{}
}

func newRelay(service, client *os.File, shapes []*Fault) *relay {
	r := &relay{service: service, client: client, shapes: shapes, done: make(chan struct{})}
	r.greeted.Add(2)
	return r
}

// run moves frames until one side is gone or a fault breaks the channel.
func (r *relay) run() {
	var both sync.WaitGroup
	both.Go(func() { r.pass(r.service, r.client, ToService) })
	both.Go(func() { r.pass(r.client, r.service, ToClient) })
	both.Wait()
}

// close breaks the channel: what was sent before stays readable.
func (r *relay) close() {
	r.once.Do(func() {
		close(r.done)
		wire.CloseAll(r.service, r.client)
	})
}

// stream is one direction.
type stream struct {
	relay    *relay
	to, from *os.File
	cut      int64 // bytes until the channel breaks, -1 = never
	stall    int64 // bytes until nothing moves, -1 = never
	chunk    int
	delay    time.Duration
}

func (r *relay) pass(to, from *os.File, direction string) {
	defer r.close()
	s := &stream{relay: r, to: to, from: from, cut: -1, stall: -1, chunk: wire.MaxChunk}
	for _, f := range r.shapes {
		switch {
		case f.Direction != direction:
		case f.Kind == FaultCut:
			s.cut = f.After
		case f.Kind == FaultStall:
			s.stall = f.After
		case f.Kind == FaultSlow:
			s.chunk, s.delay = f.Chunk, f.Delay.Duration
		}
	}
	hello := sync.OnceFunc(r.greeted.Done)
	defer hello()
	for s.frame(hello) == nil {
	}
}

// errBroken ends a stream that a fault broke.
var errBroken = errors.New("broken by the bench")

// frame passes one frame on, in pieces if it carries data.
func (s *stream) frame(hello func()) error {
	header := make([]byte, wire.HeaderSize)
	if _, err := io.ReadFull(s.from, header); err != nil {
		return err
	}
	kind, length, err := wire.ParseHeader(header)
	if err != nil {
		return err
	}
	payload := make([]byte, length)
	if _, err := io.ReadFull(s.from, payload); err != nil {
		return err
	}
	if kind != wire.DataStdin && kind != wire.DataStdout || length == 0 {
		if _, err := s.to.Write(append(header, payload...)); err != nil {
			return err
		}
		if kind == wire.Hello {
			hello()
			s.relay.greeted.Wait()
			return s.spoil()
		}
		return nil
	}
	for len(payload) > 0 {
		n := s.piece(len(payload))
		if _, err := s.to.Write(append(wire.AppendHeader(nil, kind, n), payload[:n]...)); err != nil {
			return err
		}
		payload = payload[n:]
		if err := s.spent(n); err != nil {
			return err
		}
	}
	return nil
}

// piece is how many of n bytes go at once.
func (s *stream) piece(n int) int {
	n = min(n, s.chunk)
	for _, left := range []int64{s.cut, s.stall} {
		if left > 0 {
			n = int(min(int64(n), left))
		}
	}
	return n
}

// spent counts n bytes and does what is due then.
func (s *stream) spent(n int) error {
	if s.cut > 0 {
		s.cut -= int64(n)
	}
	if s.stall > 0 {
		s.stall -= int64(n)
	}
	if s.delay > 0 {
		select {
		case <-time.After(s.delay):
		case <-s.relay.done:
			return errBroken
		}
	}
	return s.spoil()
}

func (s *stream) spoil() error {
	if s.cut == 0 {
		return errBroken
	}
	if s.stall == 0 {
		s.standStill()
		return errBroken
	}
	return nil
}

// standStill leaves the sender's bytes where they are until it hangs up.
func (s *stream) standStill() {
	raw, err := s.from.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Read(func(fd uintptr) bool {
		fds := []unix.PollFd{{Fd: int32(fd)}}
		_, err := unix.Poll(fds, 0)
		return err == nil && fds[0].Revents&(unix.POLLHUP|unix.POLLERR) != 0
	})
}
