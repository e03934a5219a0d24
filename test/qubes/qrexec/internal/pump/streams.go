package pump

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/splitvault/splitvault/test/qubes/qrexec/internal/wire"
)

// receive takes frames from the channel until there are none, In is full, or
// something closed; handled reports whether it took any.
func (p *pump) receive() (handled bool, err error) {
	if !p.flushPending() {
		return false, nil
	}
	for {
		kind, payload, ok, err := p.link.next()
		if err != nil {
			return handled, fmt.Errorf("error while vchan read, exiting: %w", err)
		}
		if !ok {
			return handled, nil
		}
		handled = true
		more, err := p.handle(kind, payload)
		if err != nil || !more {
			return handled, err
		}
	}
}

// handle treats one frame; more is false when the loop must look at the world
// first.
func (p *pump) handle(kind uint32, payload []byte) (more bool, err error) {
	switch kind {
	case wire.DataStdin, wire.DataStdout:
		p.checkDirection(kind)
		return p.handleData(payload), nil
	case wire.DataStderr:
		if p.Service {
			p.Log("client sent MSG_DATA_STDERR")
			return true, nil
		}
		if p.FilterErr {
			mask(payload)
		}
		p.writeStderr(payload)
		return true, nil
	case wire.ExitCode:
		if p.Service {
			p.Log("client sent MSG_DATA_EXIT_CODE")
			return true, nil
		}
		p.remote = wire.ParseExit(payload)
		if p.Out >= 0 {
			p.link.send(p.outKind(), nil)
		}
		p.closeOut()
		p.closeErr()
		return false, nil
	default:
		return false, fmt.Errorf("unknown msg %d", kind)
	}
}

func (p *pump) handleData(payload []byte) (more bool) {
	if p.In < 0 {
		return true // discarded; the sender gets no EPIPE
	}
	if len(payload) == 0 {
		p.closeIn()
		return false
	}
	if p.FilterOut {
		mask(payload)
	}
	p.pending = append(p.pending, payload...)
	return p.flushPending()
}

func (p *pump) checkDirection(kind uint32) {
	right := wire.DataStdout
	if p.Service {
		right = wire.DataStdin
	}
	if kind != right && !p.mismatched {
		p.mismatched = true
		p.Log("the other side sent data of the wrong direction")
	}
}

// flushPending writes what waits for In and reports whether all of it is gone.
func (p *pump) flushPending() bool {
	if p.In < 0 {
		p.pending = nil
		return true
	}
	for len(p.pending) > 0 {
		n, err := unix.Write(p.In, p.pending)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return false
		case err != nil:
			if !errors.Is(err, unix.EPIPE) && !errors.Is(err, unix.ECONNRESET) {
				p.Log(fmt.Sprintf("write: %v", err))
			}
			p.closeIn()
			return true
		}
		p.pending = p.pending[n:]
	}
	p.pending = p.pending[:0]
	return true
}

// writeStderr is a blocking write to our own stderr: who does not drain it
// stalls the whole call (remote.c, write_all on descriptor 2).
func (p *pump) writeStderr(payload []byte) {
	for len(payload) > 0 {
		n, err := unix.Write(2, payload)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return // remote.c logs and goes on; the log is the same descriptor
		}
		payload = payload[n:]
	}
}

func (p *pump) outKind() uint32 {
	if p.Service {
		return wire.DataStdout
	}
	return wire.DataStdin
}

// readOut forwards local input while the channel takes it.
func (p *pump) readOut() error {
	for p.link.room() {
		if len(p.Prefix) > 0 {
			n := min(len(p.Prefix), wire.MaxChunk)
			p.link.send(p.outKind(), p.Prefix[:n])
			p.Prefix = p.Prefix[n:]
			continue
		}
		if p.Out < 0 {
			return nil
		}
		n, again, err := read(p.Out, p.chunk)
		if again {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errSend, err)
		}
		p.link.send(p.outKind(), p.chunk[:n])
		if n == 0 {
			p.closeOut()
			return nil
		}
	}
	return nil
}

func (p *pump) readErr() error {
	for p.link.room() {
		n, again, err := read(p.Err, p.chunk)
		if again {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errSend, err)
		}
		p.link.send(wire.DataStderr, p.chunk[:n])
		if n == 0 {
			p.closeErr()
			return nil
		}
		if p.Stderr != nil {
			p.Stderr(p.chunk[:n])
		}
	}
	return nil
}

// read reads once; a socket whose other end is dead counts as ended.
func read(fd int, b []byte) (n int, again bool, err error) {
	for {
		n, err := unix.Read(fd, b)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return 0, true, nil
		case errors.Is(err, unix.ECONNRESET):
			return 0, false, nil
		}
		return n, false, err
	}
}

// closeIn tells the local reader that nothing more comes.
func (p *pump) closeIn() {
	if p.In == -1 {
		return
	}
	if p.ExitOnClientEOF {
		if p.Out != -1 {
			p.link.send(p.outKind(), nil)
		}
		p.In, p.Out = -1, -1
		return
	}
	if p.closeStdio(p.In, unix.SHUT_WR) {
		p.savedIn = -1
	}
	p.In = -1
	p.pending = nil
}

func (p *pump) closeOut() {
	if p.Out == -1 {
		return
	}
	if p.ExitOnServerEOF {
		p.In, p.Out = -1, -1
		return
	}
	p.closeStdio(p.Out, unix.SHUT_RD)
	p.Out = -1
}

func (p *pump) closeErr() {
	if p.Err == -1 {
		return
	}
	_ = unix.SetNonblock(p.Err, false)
	_ = unix.Close(p.Err)
	p.Err = -1
}

// closeStdio shuts one direction of a socket down, or closes an inherited
// descriptor after making it blocking again; it reports whether fd is closed.
func (p *pump) closeStdio(fd, direction int) (closed bool) {
	if !p.single && fd <= 2 {
		_ = unix.SetNonblock(fd, false)
		_ = unix.Close(fd)
		return true
	}
	err := unix.Shutdown(fd, direction)
	if errors.Is(err, unix.ENOTSOCK) && !p.single {
		_ = unix.Close(fd)
		return true
	}
	return false
}

// mask replaces what a terminal might obey, qrexec's --filter-escape-chars.
func mask(b []byte) {
	for i, c := range b {
		switch {
		case c >= 0x20 && c <= 0x7e:
		case c == '\t', c == '\n', c == '\r', c == '\b', c == '\a':
		default:
			b[i] = '_'
		}
	}
}
