package main

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"github.com/splitvault/splitvault/pkg/qrexec/qrexectest"
)

const long = 10 * time.Second

// The test binary is the relay as well, and the qrexec client it starts. Its
// journal is standard error, whatever machine this is.
func TestMain(m *testing.M) {
	if os.Getenv("SSH_RELAY_TEST") != "" && (len(os.Args) < 2 || os.Args[1] != "--") {
		os.Exit(run(os.Args[1:], os.Stdout, os.Stderr, func() *logrus.Logger {
			log := logrus.New()
			log.SetFormatter(&logrus.TextFormatter{DisableColors: true, DisableTimestamp: true})
			return log
		}))
	}
	qrexectest.Main(m)
}

// relay is a process that systemd would have started.
type relay struct {
	*exec.Cmd
	calls  *qrexectest.Calls
	stderr string // file
}

// prepare makes the relay's command. A shell sets LISTEN_PID, which only the
// process itself knows.
func prepare(t *testing.T, service string, env ...string) *relay {
	t.Helper()
	runtime, err := os.MkdirTemp("", "relay")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(runtime) })
	r := &relay{calls: qrexectest.Record(t), stderr: filepath.Join(runtime, "stderr")}
	r.Cmd = exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0"`, qrexectest.Program(t))
	r.Env = append(os.Environ(), append([]string{
		"SSH_RELAY_TEST=1", "XDG_RUNTIME_DIR=" + runtime, "DBUS_SESSION_BUS_ADDRESS=unix:path=/nonexistent",
		"QUBES_SSH_DOMAIN=" + r.calls.Target, "QUBES_SSH_SERVICE=" + service, "SPLITVAULT_QREXEC_CLIENT=" + qrexectest.Program(t),
	}, env...)...)
	f, err := os.OpenFile(r.stderr, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	r.Stderr = f
	return r
}

// pass gives the relay its connection as Accept=yes does.
func (r *relay) pass(conn *os.File) {
	r.ExtraFiles = []*os.File{conn}
	r.Env = append(r.Env, "LISTEN_FDS=1")
}

func (r *relay) start(t *testing.T) {
	t.Helper()
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Process.Kill() })
}

// end waits for the relay's end and returns its exit code. No process is left.
func (r *relay) end(t *testing.T) int {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- r.Wait() }()
	select {
	case err := <-done:
		if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
			t.Error(exit)
		}
	case <-time.After(long):
		t.Error("the relay did not end")
	}
	r.calls.Gone(t, long) // one whose parent was killed is reaped by another
	return r.ProcessState.ExitCode()
}

func (r *relay) said(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(r.stderr)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// pair returns the relay's end and the client's of a connection.
func pair(t *testing.T) (*os.File, *net.UnixConn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	theirs := os.NewFile(uintptr(fds[1]), "client")
	defer theirs.Close()
	conn, err := net.FileConn(theirs)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetReadDeadline(time.Now().Add(3 * long)); err != nil {
		t.Fatal(err)
	}
	ours := os.NewFile(uintptr(fds[0]), "relay")
	t.Cleanup(func() { ours.Close() })
	return ours, conn.(*net.UnixConn)
}

// listen is a socket unit with Accept=yes: one relay for each connection, of
// those returned in turn.
func listen(t *testing.T, name, service string, env ...string) (socket string, relays []*relay) {
	t.Helper()
	dir, err := os.MkdirTemp("", "relay")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket = filepath.Join(dir, name)
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		relays = append(relays, prepare(t, service, env...))
	}
	started := make(chan int, 1)
	go func() {
		n := 0
		for n < len(relays) && accept(t, listener, relays[n]) {
			n++
		}
		started <- n
	}()
	t.Cleanup(func() {
		listener.Close()
		for _, r := range relays[:<-started] {
			if code := r.end(t); code != 0 {
				t.Errorf("exit code %d", code)
			}
			if t.Failed() {
				t.Log(r.said(t))
			}
		}
	})
	return socket, relays
}

// accept waits for a connection and starts its relay; false is the end.
func accept(t *testing.T, listener *net.UnixListener, r *relay) bool {
	conn, err := listener.AcceptUnix()
	if err != nil {
		return false
	}
	defer conn.Close()
	f, err := conn.File()
	if err != nil {
		t.Error(err)
		return false
	}
	defer f.Close()
	r.pass(f)
	if err := r.Start(); err != nil {
		t.Error(err)
		return false
	}
	return true
}

// client runs a command against an agent's socket.
func client(t *testing.T, socket string, command ...string) (output string, code int) {
	t.Helper()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "SSH_AUTH_SOCK="+socket)
	out, err := cmd.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return string(out), exit.ExitCode()
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(out), 0
}
