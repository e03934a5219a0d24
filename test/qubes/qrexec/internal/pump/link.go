package pump

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/splitvault/splitvault/test/qubes/qrexec/internal/wire"
)

// link is the vchan of a call: one end of a stream socket that carries frames.
// The socket's buffers stand for the two rings.
type link struct {
	fd       int
	open     bool   // the other side is there
	incoming []byte // received, not yet taken; capacity of one whole frame
	used     int    // bytes of incoming already taken
	outgoing []byte // to send
}

func newLink(fd int) *link {
	return &link{fd: fd, open: true, incoming: make([]byte, 0, wire.HeaderSize+wire.MaxChunk)}
}

// room reports whether another frame may be made: nothing waits to be sent.
func (l *link) room() bool { return l.open && len(l.outgoing) == 0 }

func (l *link) send(kind uint32, payload []byte) {
	l.outgoing = append(wire.AppendHeader(l.outgoing, kind, len(payload)), payload...)
	l.flush()
}

func (l *link) sendExit(code int) {
	l.outgoing = wire.AppendExit(l.outgoing, code)
	l.flush()
}

// flush sends what the socket takes.
func (l *link) flush() {
	for l.open && len(l.outgoing) > 0 {
		n, err := unix.SendmsgN(l.fd, l.outgoing, nil, nil, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return
		case err != nil:
			l.hangUp()
			return
		}
		l.outgoing = l.outgoing[n:]
	}
	l.outgoing = l.outgoing[:0]
}

// hangUp marks the other side as gone. What it sent before stays readable.
func (l *link) hangUp() {
	l.open = false
	l.outgoing = nil
}

// drop forgets the other side and all it sent: the machine below is gone.
func (l *link) drop() {
	l.hangUp()
	l.incoming, l.used = l.incoming[:0], 0
}

// next returns the next whole frame, if one has arrived. Its payload is valid
// until the following call.
func (l *link) next() (kind uint32, payload []byte, ok bool, err error) {
	for {
		pending := l.incoming[l.used:]
		if len(pending) >= wire.HeaderSize {
			kind, length, err := wire.ParseHeader(pending)
			if err != nil {
				return 0, nil, false, err
			}
			if whole := wire.HeaderSize + length; len(pending) >= whole {
				l.used += whole
				return kind, pending[wire.HeaderSize:whole], true, nil
			}
		}
		if !l.fill() {
			return 0, nil, false, nil
		}
	}
}

// ready reports whether a whole frame waits in memory, where poll cannot see it.
func (l *link) ready() bool {
	pending := l.incoming[l.used:]
	if len(pending) < wire.HeaderSize {
		return false
	}
	_, length, err := wire.ParseHeader(pending)
	return err != nil || len(pending) >= wire.HeaderSize+length
}

// fill reads once and reports whether anything came.
func (l *link) fill() bool {
	n := copy(l.incoming[:cap(l.incoming)], l.incoming[l.used:])
	l.incoming, l.used = l.incoming[:n], 0
	for {
		got, _, err := unix.Recvfrom(l.fd, l.incoming[n:cap(l.incoming)], unix.MSG_DONTWAIT)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return false
		case err != nil, got == 0:
			l.hangUp()
			return false
		}
		l.incoming = l.incoming[:n+got]
		return true
	}
}

// drain waits until everything is sent or the other side is gone. The wait has
// no bound, as a send on a full vchan has none; lifeline ends it.
func (l *link) drain(lifeline int) {
	for l.open && len(l.outgoing) > 0 {
		fds := []unix.PollFd{
			{Fd: int32(l.fd), Events: unix.POLLOUT},
			{Fd: int32(lifeline), Events: unix.POLLIN},
		}
		if _, err := unix.Poll(fds, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
		if fds[1].Revents != 0 {
			l.drop()
			return
		}
		l.flush()
	}
}
