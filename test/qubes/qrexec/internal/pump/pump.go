// Package pump moves the bytes of one call between local descriptors and the
// data channel. It follows QubesOS/qubes-core-qrexec libqrexec/process_io.c and
// remote.c event by event, because which end of file reaches whom, and when,
// hangs on the order in which that loop looks at things.
package pump

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/splitvault/splitvault/test/qubes/qrexec/internal/wire"
)

// Config is one side of a call. Descriptors are -1 when absent. The pump owns
// and closes or shuts down In, Out and Err as process_io.c does; the caller
// closes Link and Lifeline.
type Config struct {
	Link     int // data channel, after the HELLO exchange
	Lifeline int // readable or hung up: the bench cut the call; -1 = none
	In       int // where the other side's data is written ("stdin_fd")
	Out      int // where local data is read ("stdout_fd"); may equal In
	Err      int // the service's stderr; -1 at the client

	Service         bool   // this is the service's side
	Header          []byte // service: written to In before the client's data
	Prefix          []byte // client: sent before what is read from Out
	FilterOut       bool   // client: mask what arrives for In
	FilterErr       bool   // client: mask remote stderr
	ExitOnClientEOF bool   // rpc-config, socket services
	ExitOnServerEOF bool   // rpc-config exit-on-service-eof, socket services

	Child  *Child            // local process, nil = none
	Log    func(line string) // qrexec's own log lines
	Stderr func(data []byte) // service: copy of its stderr, may be nil
}

type pump struct {
	Config
	link       *link
	savedIn    int    // In before it was shut down; single-socket mode reads it
	single     bool   // In and Out are one socket
	pending    []byte // arrived for In, not yet written
	remote     int    // the service's exit code at the client, -1 = not yet
	dropped    bool   // the lifeline broke
	chunk      []byte // read buffer
	mismatched bool   // a frame of the wrong direction was reported
}

// errSend is an error while reading local input, process_io.c
// handle_vchan_error.
var errSend = errors.New("error while reading local input")

// Run moves data until the call is over. At the client it returns the service's
// exit code, else the local program's, and 255 when the channel broke; at the
// service the exit code of the service. dropped reports that the lifeline broke.
func Run(c Config) (code int, dropped bool) {
	p := &pump{
		Config:  c,
		link:    newLink(c.Link),
		savedIn: c.In,
		single:  c.In == c.Out,
		pending: append([]byte(nil), c.Header...),
		remote:  -1,
		chunk:   make([]byte, wire.MaxChunk),
	}
	for _, fd := range []int{c.In, c.Out, c.Err} {
		if fd >= 0 {
			_ = unix.SetNonblock(fd, true)
		}
	}
	if err := p.loop(); err != nil {
		p.Log(err.Error())
		return 1, p.dropped
	}
	p.link.drain(c.Lifeline)
	p.finish()
	return p.exitCode(), p.dropped
}

func (p *pump) loop() error {
	for {
		if p.Child.takeExit() {
			p.closeIn()
		}
		if p.In == -1 && p.Out == -1 && p.Err == -1 {
			if p.Service && p.Child.ended() {
				p.link.sendExit(p.Child.status(0))
				return nil
			}
			if !p.Service && p.Child.ended() && p.remote >= 0 {
				return nil
			}
		}
		if !p.link.open && len(p.pending) == 0 {
			if done, err := p.afterHangUp(); done || err != nil {
				return err
			}
		}
		if p.Child.takeSingle() && !p.single {
			p.closeOut()
			p.Out = p.savedIn
			p.single = true
		}
		if err := p.turn(); err != nil {
			return err
		}
	}
}

// afterHangUp takes what the other side had sent before it went; done means that
// there is nothing more.
func (p *pump) afterHangUp() (done bool, err error) {
	for {
		handled, err := p.receive()
		if err != nil {
			return true, err
		}
		if len(p.pending) > 0 {
			return false, nil
		}
		if !handled {
			break
		}
	}
	closed := p.In == -1 && p.Out == -1 && p.Err == -1
	if !p.Service && closed && p.remote >= 0 {
		return p.Child.ended(), nil
	}
	p.Log(fmt.Sprintf("vchan connection closed early (fds: %d %d %d, status: %d %d)",
		p.In, p.Out, p.Err, p.Child.status(-1), p.remote))
	return true, nil
}

// turn waits for something to happen and handles it.
func (p *pump) turn() error {
	in, out, stderr, channel, lifeline, wake, err := p.wait()
	if err != nil {
		return err
	}
	if lifeline != 0 {
		p.dropped = true
		p.pending = nil
		p.link.drop()
		return nil
	}
	p.Child.drainWake(wake)
	if channel&unix.POLLOUT != 0 {
		p.link.flush()
	}
	if in&(unix.POLLHUP|unix.POLLERR) != 0 {
		p.closeIn()
	}
	if _, err := p.receive(); err != nil {
		return err
	}
	if p.link.room() && (len(p.Prefix) > 0 || p.Out >= 0 && out != 0) {
		if err := p.readOut(); err != nil {
			return err
		}
	}
	if p.link.room() && p.Err >= 0 && stderr != 0 {
		return p.readErr()
	}
	return nil
}

func (p *pump) wait() (in, out, stderr, channel, lifeline, wake int16, err error) {
	fds := []unix.PollFd{{Fd: -1}, {Fd: -1}, {Fd: -1}, {Fd: -1}, {Fd: int32(p.Lifeline), Events: unix.POLLIN}, {Fd: int32(p.Child.wakeFD()), Events: unix.POLLIN}}
	timeout := -1
	if p.In >= 0 {
		fds[0].Fd = int32(p.In) // without data to write: watched for hang-up only
		if len(p.pending) > 0 {
			fds[0].Events = unix.POLLOUT
		}
	}
	if p.link.room() {
		if len(p.Prefix) > 0 {
			timeout = 0
		} else if p.Out >= 0 {
			fds[1] = unix.PollFd{Fd: int32(p.Out), Events: unix.POLLIN}
		}
		if p.Err >= 0 {
			fds[2] = unix.PollFd{Fd: int32(p.Err), Events: unix.POLLIN}
		}
	}
	if len(p.pending) == 0 && p.link.ready() {
		timeout = 0
	}
	// While data for In waits, no more is taken from the channel: back-pressure.
	if p.link.open && len(p.pending) == 0 {
		fds[3] = unix.PollFd{Fd: int32(p.link.fd), Events: unix.POLLIN}
	}
	if len(p.link.outgoing) > 0 {
		fds[3].Fd = int32(p.link.fd)
		fds[3].Events |= unix.POLLOUT
	}
	for {
		_, err = unix.Poll(fds, timeout)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		return 0, 0, 0, 0, 0, 0, fmt.Errorf("poll: %w", err)
	}
	return fds[0].Revents, fds[1].Revents, fds[2].Revents, fds[3].Revents, fds[4].Revents, fds[5].Revents, nil
}

// finish closes what is open, so that the local process learns that the call is
// over, and waits for it: qrexec never signals it.
func (p *pump) finish() {
	p.closeIn()
	p.closeOut()
	p.closeErr()
	if !p.dropped {
		p.Child.Wait()
	}
}

func (p *pump) exitCode() int {
	if !p.Service && p.remote != 0 {
		return p.remote & 0xff
	}
	return p.Child.status(0)
}
