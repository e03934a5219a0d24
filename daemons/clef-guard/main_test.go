package main_test

import (
	"bytes"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/splitvault/splitvault/pkg/clefcall"
	"github.com/splitvault/splitvault/pkg/confine/confinetest"
)

// guard is the program.
var guard = confinetest.Guard()

func TestMain(m *testing.M) {
	code := m.Run()
	guard.Remove()
	os.Exit(code)
}

// backend is a Clef that answers each request over its socket; to account_signData it says nothing until the test ends.
func backend(t *testing.T) (path string, got *requests) {
	t.Helper()
	path, got = filepath.Join(t.TempDir(), "clef.ipc"), &requests{end: make(chan struct{})}
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.Close()
		close(got.end)
	})
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go got.serve(conn)
		}
	}()
	return path, got
}

type requests struct {
	end chan struct{}
	mu  sync.Mutex
	all []string
}

func (r *requests) serve(conn net.Conn) {
	defer conn.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return
		}
		text := string(buffer[:n])
		switch {
		case strings.Contains(text, "account_version"):
			io.WriteString(conn, `{"jsonrpc":"2.0","id":"splitvault-guard","result":"6.1.0"}`+"\n")
			continue
		case !strings.Contains(text, "account_signData"):
			io.WriteString(conn, `{"jsonrpc":"2.0","id":"splitvault-guard","result":[]}`+"\n")
		}
		r.mu.Lock()
		r.all = append(r.all, text)
		r.mu.Unlock()
		if strings.Contains(text, "account_signData") {
			<-r.end
		}
	}
}

func (r *requests) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.all)
}

// call is one call of qubes.Clefsign, as qrexec makes it: two socket pairs, a pipe for
// standard error, and the caller in the environment.
type call struct {
	cmd     *exec.Cmd
	in, out *net.UnixConn
	stderr  bytes.Buffer
	ended   chan struct{}
}

func start(t *testing.T, rules, argument string) *call {
	t.Helper()
	program := guard.Path(t)
	home := t.TempDir()
	if err := os.MkdirAll(filepath.Join(home, ".config/splitvault"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, ".config/splitvault/rules.toml"), []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	c := &call{cmd: exec.Command(program), ended: make(chan struct{})}
	if argument != "" {
		c.cmd.Args = append(c.cmd.Args, argument)
	}
	c.cmd.Env = []string{
		"HOME=" + home, "PATH=/usr/bin:/bin", "XDG_RUNTIME_DIR=" + home,
		"QREXEC_REMOTE_DOMAIN=work", "QREXEC_SERVICE_FULL_NAME=qubes.Clefsign+" + argument, "QREXEC_SERVICE_ARGUMENT=" + argument,
	}
	c.cmd.Dir, c.cmd.Stderr = home, &c.stderr
	var theirs [2]*os.File
	c.in, theirs[0] = pair(t)
	c.out, theirs[1] = pair(t)
	c.cmd.Stdin, c.cmd.Stdout = theirs[0], theirs[1]
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirs[0].Close()
	theirs[1].Close()
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

// pair returns two ends of a socket pair, the second in blocking mode as qrexec's.
func pair(t *testing.T) (*net.UnixConn, *os.File) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours := os.NewFile(uintptr(fds[0]), "ours")
	conn, err := net.FileConn(ours)
	ours.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.(*net.UnixConn), os.NewFile(uintptr(fds[1]), "theirs")
}

// says sends a request and its end, and returns the answer and the exit code.
func (c *call) says(t *testing.T, untrusted string) (string, int) {
	t.Helper()
	go func() {
		io.WriteString(c.in, untrusted)
		c.in.CloseWrite()
	}()
	if err := c.out.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(c.out)
	if err != nil {
		t.Fatal(err)
	}
	<-c.ended
	return string(answer), c.cmd.ProcessState.ExitCode()
}

func allow(path string) string {
	return "[clef]\nbackend = \"unix:" + path + "\"\n[[clef.rule]]\nqube = \"work\"\ndecision = \"allow\"\n"
}

const list = `{"jsonrpc":"2.0","id":"l","method":"account_list","params":[]}`

func TestACallIsOneRequest(t *testing.T) {
	t.Parallel()
	path, got := backend(t)
	if answer, code := start(t, allow(path), "account_list").says(t, list); answer != `{"jsonrpc":"2.0","id":"l","result":[]}`+"\n" || code != 0 {
		t.Errorf("%q, exit %d", answer, code)
	}
	if answer, code := start(t, allow(path), "").says(t, `split-clef/1 {"uid":1000}`+"\n"+list); !strings.Contains(answer, "result") || code != 0 {
		t.Errorf("%q, exit %d", answer, code)
	}
	for untrusted, want := range map[string]string{
		"": `"id":null,"error":{"code":-32700`, list + list: `-32700`, `{"jsonrpc":"2.0","id":1,"method":"account_new"}`: `"id":1,"error":{"code":4100`,
		strings.Repeat(" ", clefcall.MaxCall+5): `-32600`,
	} {
		c := start(t, allow(path), "")
		if answer, code := c.says(t, untrusted); !strings.Contains(answer, want) || code != 0 || c.stderr.Len() != 0 {
			t.Errorf("%.40q: %q, exit %d, %q", untrusted, answer, code, c.stderr.String())
		}
	}
	if n := got.count(); n != 2 {
		t.Errorf("Clef got %d requests", n)
	}
}

// A mistake in the rules, or no rule: refused, and no Clef is looked for.
func TestWithoutRulesNothingIsAnswered(t *testing.T) {
	t.Parallel()
	for _, rules := range []string{"[clef]\nmistake = 1\n", "[[clef.rule]]\nqube = \"home\"\ndecision = \"allow\"\n", "[[ssh.rule]]\nqube = \"work\"\ndecision = \"allow\"\n"} {
		if answer, code := start(t, rules, "account_list").says(t, list); !strings.Contains(answer, `"id":"l","error":{"code":4100,"message":"account_list is not allowed for qube work"}`) || code != 0 {
			t.Errorf("%q: %q, exit %d", rules, answer, code)
		}
	}
}

// A guard whose client was killed ends, though Clef still works.
func TestAGuardEndsWithItsClient(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(c *call){
		"closed":        func(c *call) { c.out.Close() },
		"reads no more": func(c *call) { c.out.CloseRead() },
	} {
		path, got := backend(t)
		c := start(t, allow(path), "")
		io.WriteString(c.in, `{"jsonrpc":"2.0","id":1,"method":"account_signData","params":["text/plain","0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F","0x00"]}`)
		c.in.CloseWrite()
		for deadline := time.Now().Add(20 * time.Second); got.count() == 0; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s: nothing reached Clef: %s", name, c.stderr.String())
			}
		}
		select {
		case <-c.ended:
			t.Fatalf("%s: the end of the input ended the guard", name)
		case <-time.After(700 * time.Millisecond):
		}
		end(c)
		select {
		case <-c.ended:
			if code := c.cmd.ProcessState.ExitCode(); code != 1 || c.stderr.String() != "clef-guard: the client hung up\n" {
				t.Errorf("%s: exit %d, %q", name, code, c.stderr.String())
			}
		case <-time.After(20 * time.Second):
			t.Errorf("%s: the guard stays", name)
		}
	}
}

func TestStartedByHandItTellsHowItIsMeant(t *testing.T) {
	t.Parallel()
	program := guard.Path(t)
	for args, want := range map[string]struct {
		code int
		says string
	}{
		"--help": {0, "usage: clef-guard"}, "--version": {0, "clef-guard "}, "x": {2, "wants no arguments"}, "": {2, "not started by qrexec"},
	} {
		cmd := exec.Command(program, strings.Fields(args)...)
		out, _ := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != want.code || !strings.Contains(string(out), want.says) {
			t.Errorf("%q: exit %d, %q", args, cmd.ProcessState.ExitCode(), out)
		}
	}
}
