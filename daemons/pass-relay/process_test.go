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

	"github.com/splitvault/splitvault/pkg/passcall/passtest"
)

const long = 10 * time.Second

// The test binary is the relay as well, and the qrexec client it starts. Its
// journal is standard error, whatever machine this is.
func TestMain(m *testing.M) {
	if os.Getenv("PASS_RELAY_TEST") != "" && (len(os.Args) < 2 || os.Args[1] != "--") {
		os.Exit(run(os.Args[1:], os.Stdout, os.Stderr, func() *logrus.Logger {
			log := logrus.New()
			log.SetFormatter(&logrus.TextFormatter{DisableColors: true, DisableTimestamp: true})
			return log
		}))
	}
	passtest.Main(m)
}

// relay is a process that systemd would have started.
type relay struct {
	*exec.Cmd
	vault  *passtest.Vault
	stderr string // file
}

// prepare makes the relay's command. A shell sets LISTEN_PID, which only the
// process itself knows.
func prepare(t *testing.T, vault *passtest.Vault, env ...string) *relay {
	t.Helper()
	runtime, err := os.MkdirTemp("", "relay")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(runtime) })
	r := &relay{vault: vault, stderr: filepath.Join(runtime, "stderr")}
	r.Cmd = exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0"`, passtest.Program(t))
	r.Env = append(os.Environ(), append([]string{"PASS_RELAY_TEST=1", "XDG_RUNTIME_DIR=" + runtime}, vault.Env(t)...)...)
	r.Env = append(r.Env, env...)
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
	r.vault.Gone(t, long) // one whose parent was killed is reaped by another
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
