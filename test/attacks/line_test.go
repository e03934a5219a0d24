package attacks

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/splitvault/splitvault/test/baseline"
	"github.com/splitvault/splitvault/test/qubes/bench"
	"github.com/splitvault/splitvault/test/qubes/bench/machine"
)

// way is how a client reaches the agent: a command in the client qube whose
// standard input and output are the connection.
type way struct {
	name    string
	command []string
}

// through the raw relay that splitvault began with.
func raw() way { return socket("raw-relay", baseline.SeedQuietSocket) }

// ours are both ways into splitvault: by the socket, and past the relay.
func ours() []way {
	return []way{
		socket("socket", "/run/user/1000/ssh/S.ssh-agent"),
		{"qrexec", []string{"qrexec-client-vm", "@default", "qubes.Ssh"}},
	}
}

func socket(name, path string) way {
	return way{name, []string{"socat", "-t0.1", "-", "UNIX-CONNECT:" + path}}
}

// line is one open connection.
type line struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *os.File
}

// dial opens a connection. It ends with the test, if not before.
func (w way) dial(t *testing.T, q *bench.Qube) *line {
	t.Helper()
	l := &line{cmd: q.Command(t.Context(), machine.AsUser, w.command...)}
	var err error
	if l.in, err = l.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, theirs, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	l.out, l.cmd.Stdout = out, theirs
	err = l.cmd.Start()
	theirs.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.close)
	return l
}

// close kills the client.
func (l *line) close() {
	if l.cmd.ProcessState != nil {
		return
	}
	_ = l.cmd.Process.Kill() // it may have ended
	_ = l.cmd.Wait()         // it reports the kill
	l.out.Close()
}

// send writes bytes; that the other end has closed shows when reading.
func (l *line) send(bytes ...[]byte) *line {
	for _, b := range bytes {
		_, _ = l.in.Write(b)
	}
	return l
}

var (
	errClosed = errors.New("closed")
	errSilent = errors.New("no answer in time")
)

// answer reads one message, without its length.
func (l *line) answer(within time.Duration) ([]byte, error) {
	if err := l.out.SetReadDeadline(time.Now().Add(within)); err != nil {
		return nil, err
	}
	var header [4]byte
	if _, err := io.ReadFull(l.out, header[:]); err != nil {
		return nil, ended(err)
	}
	size := binary.BigEndian.Uint32(header[:])
	if size > 1<<20 {
		return nil, fmt.Errorf("an answer of %d bytes", size)
	}
	message := make([]byte, size)
	_, err := io.ReadFull(l.out, message)
	return message, ended(err)
}

func ended(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errSilent
	default:
		return errClosed
	}
}

// ask sends a message and returns the answer's type, or an error.
func (l *line) ask(t *testing.T, message []byte) []byte {
	t.Helper()
	answer, err := l.send(message).answer(20 * time.Second)
	if err != nil {
		t.Fatalf("message %d: %v", message[4], err)
	}
	return answer
}

// refused sends a message that must be answered by a failure; only a length that
// no message has may be answered by a hang-up, as a guard that crashes does.
func (l *line) refused(t *testing.T, message []byte) {
	t.Helper()
	answer, err := l.send(message).answer(20 * time.Second)
	declared := binary.BigEndian.Uint32(message)
	if errors.Is(err, errClosed) && (declared == 0 || declared > 64<<10) {
		return
	}
	if err != nil || len(answer) != 1 || answer[0] != failure && answer[0] != extensionFailure {
		t.Errorf("message %d: answer %.32x, %v; want a failure", message[4], answer, err)
	}
}
