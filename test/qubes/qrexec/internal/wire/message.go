package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Kinds of control messages.
const (
	KindCall    = "call"    // client → agent → dom0: may I?
	KindVerdict = "verdict" // dom0 → agent → client: two descriptors when allowed
	KindServe   = "serve"   // dom0 → agent: start a service, two descriptors
	KindHello   = "hello"   // agent → dom0: here I am
	KindRestart = "restart" // dom0 → agent: stop listening for Pause, then listen again
)

// Message is one control message. Names from a client are byte strings, because
// what a client sends need not be UTF-8.
type Message struct {
	Kind string `json:"kind"`
	Seq  uint64 `json:"seq,omitempty"` // the agent's number of a call

	// KindCall
	Target     []byte `json:"target,omitempty"`
	Descriptor []byte `json:"descriptor,omitempty"` // SERVICE+ARG
	Buffer     int    `json:"buffer,omitempty"`     // bytes each way, 0 = default
	ForQube    string `json:"for_qube,omitempty"`   // --source-qube

	// KindVerdict
	Allowed bool `json:"allowed,omitempty"`

	// KindServe
	Service Service `json:"service,omitzero"`

	// KindHello
	PID     int    `json:"pid,omitempty"`
	Release string `json:"release,omitempty"`

	// KindRestart
	Pause time.Duration `json:"pause,omitempty"`
}

// Service says what the target's agent is to start.
type Service struct {
	Name     string `json:"name"`
	Argument string `json:"argument"` // without "+"
	Source   string `json:"source"`
	User     string `json:"user"` // "" = the qube's default user
}

// Descriptor returns NAME+ARG, always with the plus sign.
func (s Service) Descriptor() string { return s.Name + "+" + s.Argument }

// maxMessage bounds a control message: a descriptor of 65000 bytes in base64 and
// some more.
const maxMessage = 96 << 10

// maxFiles is how many descriptors a control message may carry.
const maxFiles = 2

// sendTimeout is after how long a peer that does not read counts as gone.
const sendTimeout = 5 * time.Second

// Conn is a control connection: one packet is one message.
type Conn struct{ unix *net.UnixConn }

// NewConn wraps an accepted or dialled "unixpacket" connection.
func NewConn(c *net.UnixConn) *Conn { return &Conn{unix: c} }

// Dial connects to the control socket at path, which may be longer than a
// socket address (107 bytes).
func Dial(path string) (*Conn, error) {
	short, release, err := shorten(path)
	if err != nil {
		return nil, err
	}
	defer release()
	c, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: short, Net: "unixpacket"})
	if err != nil {
		return nil, err
	}
	return NewConn(c), nil
}

// Listen listens at path with mode, network "unix" or "unixpacket". It replaces
// what an earlier process left there.
func Listen(network, path string, mode os.FileMode) (*net.UnixListener, error) {
	short, release, err := shorten(path)
	if err != nil {
		return nil, err
	}
	defer release()
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	l, err := net.ListenUnix(network, &net.UnixAddr{Name: short, Net: network})
	if err != nil {
		return nil, fmt.Errorf("listening on %q: %w", path, err)
	}
	l.SetUnlinkOnClose(false) // the short name is gone by then; the owner removes path
	if err := os.Chmod(path, mode); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// shorten gives a name for path that fits into a socket address, good until
// release is called.
func shorten(path string) (short string, release func(), err error) {
	if len(path) < len(unix.RawSockaddrUnix{}.Path) {
		return path, func() {}, nil
	}
	dir, err := unix.Open(filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", nil, fmt.Errorf("opening directory of %q: %w", path, err)
	}
	short = "/proc/self/fd/" + strconv.Itoa(dir) + "/" + filepath.Base(path)
	return short, func() { _ = unix.Close(dir) }, nil
}

// Send sends m with copies of files.
func (c *Conn) Send(m Message, files ...*os.File) error {
	packet, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encoding %s message: %w", m.Kind, err)
	}
	if len(packet) > maxMessage {
		return fmt.Errorf("sending %s message: %d bytes, at most %d", m.Kind, len(packet), maxMessage)
	}
	var rights []byte
	if len(files) > 0 {
		fds := make([]int, len(files))
		for i, f := range files {
			fds[i] = int(f.Fd())
		}
		rights = unix.UnixRights(fds...)
	}
	if err := c.unix.SetWriteDeadline(time.Now().Add(sendTimeout)); err != nil {
		return err
	}
	if _, _, err := c.unix.WriteMsgUnix(packet, rights, nil); err != nil {
		return fmt.Errorf("sending %s message: %w", m.Kind, err)
	}
	return nil
}

// Receive waits for a message, without a time-out: an ask prompt may stand for
// ever. The caller owns the files. A closed peer gives io.EOF.
func (c *Conn) Receive() (Message, []*os.File, error) {
	packet := make([]byte, maxMessage)
	oob := make([]byte, unix.CmsgSpace(4*maxFiles))
	n, oobn, _, _, err := c.unix.ReadMsgUnix(packet, oob)
	if err != nil {
		return Message{}, nil, err
	}
	if n == 0 {
		return Message{}, nil, io.EOF
	}
	files, err := parseRights(oob[:oobn])
	if err != nil {
		return Message{}, nil, err
	}
	var m Message
	if err := json.Unmarshal(packet[:n], &m); err != nil {
		CloseAll(files...)
		return Message{}, nil, fmt.Errorf("decoding control message: %w", err)
	}
	return m, files, nil
}

func parseRights(oob []byte) ([]*os.File, error) {
	if len(oob) == 0 {
		return nil, nil
	}
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, fmt.Errorf("parsing control message: %w", err)
	}
	var files []*os.File
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			continue // not descriptors
		}
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), "passed"))
		}
	}
	return files, nil
}

// Close closes the connection; a Receive under way returns an error.
func (c *Conn) Close() error { return c.unix.Close() }

// CloseAll closes files, ignoring nil.
func CloseAll(files ...*os.File) {
	for _, f := range files {
		if f != nil {
			_ = f.Close()
		}
	}
}

// SocketPair makes two connected stream sockets, close-on-exec and non-blocking,
// with room for about buffer bytes in each direction (0 = the kernel's default).
func SocketPair(buffer int) (a, b *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("making a socket pair: %w", err)
	}
	if buffer > 0 {
		for _, fd := range fds {
			if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, buffer); err != nil {
				return nil, nil, errors.Join(fmt.Errorf("sizing a socket pair: %w", err), unix.Close(fds[0]), unix.Close(fds[1]))
			}
		}
	}
	return os.NewFile(uintptr(fds[0]), "pair"), os.NewFile(uintptr(fds[1]), "pair"), nil
}

// DialStream connects to the stream socket at path, however long the path is.
func DialStream(path string) (*net.UnixConn, error) {
	short, release, err := shorten(path)
	if err != nil {
		return nil, err
	}
	defer release()
	return net.DialUnix("unix", nil, &net.UnixAddr{Name: short, Net: "unix"})
}
