package main_test

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/splitvault/splitvault/pkg/confine/confinetest"
	"github.com/splitvault/splitvault/pkg/sshagent"
	"github.com/splitvault/splitvault/pkg/sshagent/agenttest"
)

// guard is the program.
var guard = confinetest.Guard()

func TestMain(m *testing.M) {
	code := m.Run()
	guard.Remove()
	os.Exit(code)
}

const allowAll = "[[ssh.rule]]\nqube = \"work\"\ndecision = \"allow\"\n"

// vault is a home directory with rules, and an agent's socket.
type vault struct {
	home, socket string
	program      string
}

func newVault(t *testing.T, rules, socket string) *vault {
	t.Helper()
	program := guard.Path(t)
	v := &vault{home: t.TempDir(), socket: socket, program: program}
	dir := filepath.Join(v.home, ".config/splitvault")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "rules.toml"), []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	return v
}

// call is one call of qubes.Ssh, as qrexec makes it: two socket pairs, a pipe for
// standard error, and the caller in the environment (qubes-core-qrexec,
// libqrexec/exec.c).
type call struct {
	t       *testing.T
	cmd     *exec.Cmd
	in, out *net.UnixConn
	stderr  *bytes.Buffer
	reader  *sshagent.Reader
	ended   chan struct{}
}

func (v *vault) environ(argument string) []string {
	return []string{
		"HOME=" + v.home, "PATH=/usr/bin:/bin", "XDG_RUNTIME_DIR=" + v.home, "SSH_AUTH_SOCK=" + v.socket,
		"QREXEC_REMOTE_DOMAIN=work", "QREXEC_SERVICE_FULL_NAME=qubes.Ssh+" + argument, "QREXEC_SERVICE_ARGUMENT=" + argument,
	}
}

func (v *vault) call(t *testing.T, argument string) *call {
	t.Helper()
	return v.start(t, argument, v.environ(argument))
}

func (v *vault) start(t *testing.T, argument string, environ []string) *call {
	t.Helper()
	c := &call{t: t, stderr: new(bytes.Buffer), ended: make(chan struct{})}
	c.cmd = exec.Command(v.program)
	if argument != "" {
		c.cmd.Args = append(c.cmd.Args, argument)
	}
	c.cmd.Env, c.cmd.Dir, c.cmd.Stderr = environ, v.home, c.stderr
	var theirs [2]*os.File
	c.in, theirs[0] = pair(t)
	c.out, theirs[1] = pair(t)
	c.cmd.Stdin, c.cmd.Stdout = theirs[0], theirs[1]
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirs[0].Close()
	theirs[1].Close()
	c.reader = sshagent.NewReader(c.out, sshagent.MaxReply, sshagent.FrameTime)
	go func() {
		_ = c.cmd.Wait() // its exit code is looked at
		close(c.ended)
	}()
	t.Cleanup(func() {
		_ = c.cmd.Process.Kill()
		<-c.ended
	})
	return c
}

// pair returns our end of a new socket pair, and theirs in blocking mode.
func pair(t *testing.T) (*net.UnixConn, *os.File) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours := os.NewFile(uintptr(fds[0]), "ours")
	defer ours.Close()
	conn, err := net.FileConn(ours)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.(*net.UnixConn), os.NewFile(uintptr(fds[1]), "theirs")
}

func (c *call) send(b []byte) {
	c.t.Helper()
	if err := c.in.SetWriteDeadline(time.Now().Add(20 * time.Second)); err != nil {
		c.t.Fatal(err)
	}
	if _, err := c.in.Write(b); err != nil {
		c.t.Fatal(err)
	}
}

func (c *call) ask(f sshagent.Frame) sshagent.Frame {
	c.t.Helper()
	c.send(f.Bytes())
	if err := c.out.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		c.t.Fatal(err)
	}
	reply, err := c.reader.Next()
	if err != nil {
		c.t.Fatalf("no answer: %v", err)
	}
	return reply
}

func (c *call) refused(f sshagent.Frame) {
	c.t.Helper()
	if got := c.ask(f); got.Type() != sshagent.TypeFailure {
		c.t.Errorf("%v is answered by %v", f.Type(), got.Type())
	}
}

// exit waits for the end within d and returns the exit code.
func (c *call) exit(d time.Duration) int {
	c.t.Helper()
	select {
	case <-c.ended:
		return c.cmd.ProcessState.ExitCode()
	case <-time.After(d):
		c.t.Fatalf("it still runs after %v", d)
		return 0
	}
}

// hasEnded checks exit code and standard error.
func (c *call) hasEnded(within time.Duration, code int, stderr string) {
	c.t.Helper()
	if got := c.exit(within); got != code {
		c.t.Errorf("exit code %d, want %d", got, code)
	}
	if got := c.stderr.String(); got != stderr {
		c.t.Errorf("the client sees %q, want %q", got, stderr)
	}
}

// realAgent is an ssh-agent with one key.
func realAgent(t *testing.T) (a *agenttest.Agent, key []byte) {
	t.Helper()
	a = agenttest.Start(t)
	a.AddKey(t, "ed", "ed25519", "", "")
	ids, err := sshagent.ParseIdentities(a.Dial(t).Ask(t, sshagent.RequestIdentities()))
	if err != nil || len(ids) != 1 {
		t.Fatalf("the agent lists %d keys, %v", len(ids), err)
	}
	return a, ids[0].Blob
}

// fakeAgent lists a key; when it is to sign, it tells so and does something else.
func fakeAgent(t *testing.T, key []byte, onSign func(net.Conn)) (socket string, asked chan struct{}) {
	t.Helper()
	dir, err := os.MkdirTemp("", "touch")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket, asked = filepath.Join(dir, "agent"), make(chan struct{}, 10)
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	list, err := sshagent.IdentitiesReply([]sshagent.Identity{{Blob: key}})
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go serve(conn, list, asked, onSign)
		}
	}()
	return socket, asked
}

func serve(conn net.Conn, list sshagent.Frame, asked chan<- struct{}, onSign func(net.Conn)) {
	defer conn.Close()
	reader := sshagent.NewReader(conn, sshagent.MaxRequest, sshagent.FrameTime)
	for {
		f, err := reader.Next()
		if err != nil {
			return
		}
		reply := sshagent.Failure()
		switch f.Type() {
		case sshagent.TypeRequestIdentities:
			reply = list
		case sshagent.TypeSignRequest:
			asked <- struct{}{}
			onSign(conn)
			return
		}
		if _, err := conn.Write(reply.Bytes()); err != nil {
			return
		}
	}
}

func login(key []byte) []byte {
	return (&sshagent.Login{
		SessionID: []byte("session"), User: "git", Service: "ssh-connection", Method: sshagent.MethodPublicKey, Algorithm: "ssh-ed25519", Key: key,
	}).Encode()
}

func signRequest(t *testing.T, key, data []byte) sshagent.Frame {
	t.Helper()
	f, err := sshagent.SignRequest{Key: key, Data: data}.Frame()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// works asks what an honest client asks.
func (v *vault) works(t *testing.T, key []byte) {
	t.Helper()
	c := v.call(t, "")
	ids, err := sshagent.ParseIdentities(c.ask(sshagent.RequestIdentities()))
	if err != nil || len(ids) != 1 || !bytes.Equal(ids[0].Blob, key) {
		t.Fatalf("%d keys are listed, %v", len(ids), err)
	}
	reply := c.ask(signRequest(t, key, login(key)))
	k, err := sshagent.ParseKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := sshagent.CheckSignReply(reply, k, 0); err != nil {
		t.Fatal(err)
	}
	c.in.Close()
	c.hasEnded(5*time.Second, 0, "")
}

func TestHelpAndVersion(t *testing.T) {
	t.Parallel()
	program := guard.Path(t)
	for argument, want := range map[string]string{"--help": "usage: ssh-guard", "--version": "ssh-guard "} {
		cmd := exec.CommandContext(t.Context(), program, argument)
		cmd.Env = []string{}
		var stdout, stderr strings.Builder
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if err := cmd.Run(); err != nil || !strings.HasPrefix(stdout.String(), want) || stderr.Len() > 0 {
			t.Errorf("%s: %v, %q, %q", argument, err, stdout.String(), stderr.String())
		}
	}
	cmd := exec.CommandContext(t.Context(), program, "--nonsense")
	cmd.Env = []string{}
	if out, _ := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != 2 || len(out) == 0 {
		t.Errorf("--nonsense: exit code %d, %q", cmd.ProcessState.ExitCode(), out)
	}
}
