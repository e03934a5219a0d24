package agenttest

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/splitvault/splitvault/pkg/sshagent"
)

// Need skips the test if a program is not installed, and fails it in CI, where
// every program must be there.
func Need(tb testing.TB, programs ...string) {
	tb.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err == nil {
			continue
		}
		if os.Getenv("CI") != "" {
			tb.Fatalf("%s is not installed; install openssh-client", p)
		}
		tb.Skipf("%s is not installed", p)
	}
}

// Agent is a running OpenSSH ssh-agent of its own with an empty environment.
type Agent struct {
	Socket string
	Dir    string // its home directory, with the keys
}

// Start starts an agent and ends it with the test.
func Start(tb testing.TB) *Agent {
	tb.Helper()
	Need(tb, "ssh-agent", "ssh-add", "ssh-keygen")
	dir, err := os.MkdirTemp("", "agent") // t.TempDir can be too long for a socket
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { os.RemoveAll(dir) })
	a := &Agent{Socket: filepath.Join(dir, "agent.sock"), Dir: dir}
	cmd := exec.Command("ssh-agent", "-D", "-a", a.Socket)
	cmd.Env = a.environ()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // a fuzzing worker may be killed
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := cmd.Process.Kill(); err != nil {
			tb.Errorf("ending ssh-agent: %v", err)
		}
		// It reports the kill that was just sent.
		_ = cmd.Wait()
	})
	// The agent names its socket when it listens on it.
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil || !strings.Contains(line, a.Socket) {
		tb.Fatalf("ssh-agent said %q, %v", line, err)
	}
	return a
}

func (a *Agent) environ() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + a.Dir, "SSH_AUTH_SOCK=" + a.Socket, "LC_ALL=C"}
}

// Run runs a program with the agent's environment in its directory.
func (a *Agent) Run(tb testing.TB, name string, args ...string) {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), name, args...)
	cmd.Env, cmd.Dir = a.environ(), a.Dir
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
}

// AddKey makes a key in file, of a type and size that ssh-keygen knows, and adds
// it under its file name as comment. An earlier key named by ca certifies it for
// root first; the agent then holds key and certificate.
func (a *Agent) AddKey(tb testing.TB, file, keyType, bits, ca string, addOptions ...string) {
	tb.Helper()
	args := []string{"-q", "-t", keyType, "-N", "", "-C", file, "-f", file}
	if bits != "" {
		args = append(args, "-b", bits)
	}
	a.Run(tb, "ssh-keygen", args...)
	if ca != "" {
		a.Run(tb, "ssh-keygen", "-q", "-s", ca, "-I", file, "-n", "root", file+".pub")
	}
	a.Run(tb, "ssh-add", append(append([]string{"-q"}, addOptions...), file)...)
}

// Conn is a connection to an agent.
type Conn struct {
	conn net.Conn
	in   *sshagent.Reader
}

// Dial connects to the agent.
func (a *Agent) Dial(tb testing.TB) *Conn {
	tb.Helper()
	conn, err := net.Dial("unix", a.Socket)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := conn.Close(); err != nil {
			tb.Errorf("closing the connection: %v", err)
		}
	})
	return &Conn{conn, sshagent.NewReader(conn, sshagent.MaxReply, sshagent.FrameTime)}
}

// Ask sends a message and waits for its answer, for ten seconds at most.
func (c *Conn) Ask(tb testing.TB, request sshagent.Frame) sshagent.Frame {
	tb.Helper()
	if err := c.conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		tb.Fatal(err)
	}
	if _, err := c.conn.Write(request.Bytes()); err != nil {
		tb.Fatal(err)
	}
	reply, err := c.in.Next()
	if err != nil {
		tb.Fatal(err)
	}
	return reply
}
