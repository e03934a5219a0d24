package main

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"github.com/splitvault/splitvault/test/stub"
)

// The test binary is the relay as well. Its journal is standard error, whatever
// machine this is.
func TestMain(m *testing.M) {
	if os.Getenv("CLEF_RELAY_TEST") != "" {
		os.Exit(run(os.Args[1:], os.Stdout, os.Stderr, func() *logrus.Logger {
			log := logrus.New()
			log.SetFormatter(&logrus.TextFormatter{DisableColors: true, DisableTimestamp: true})
			return log
		}))
	}
	os.Exit(m.Run())
}

// relay is a process that systemd would have started.
type relay struct {
	*exec.Cmd
	dir string
}

// start starts a relay for a connection; script is run in the place of qrexec's
// client. A shell sets LISTEN_PID, which only the process itself knows.
func start(t *testing.T, conn *os.File, script string, env ...string) *relay {
	t.Helper()
	dir, err := os.MkdirTemp("", "relay")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	r := &relay{dir: dir, Cmd: exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0"`, os.Args[0])}
	client := filepath.Join(dir, "client")
	stub.Script(t, client, "cat >/dev/null\n"+script)
	r.Env = append(os.Environ(), "CLEF_RELAY_TEST=1", "LISTEN_FDS=1", "XDG_RUNTIME_DIR="+dir, "HOME="+dir, "XDG_CONFIG_HOME=", "SPLITVAULT_QREXEC_CLIENT="+client)
	r.Env = append(r.Env, env...)
	stderr, err := os.Create(filepath.Join(dir, "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stderr.Close() })
	r.Stderr = stderr
	r.ExtraFiles = []*os.File{conn}
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	t.Cleanup(func() { _ = r.Process.Kill() })
	return r
}

// end waits for the process and returns its exit code and what it said.
func (r *relay) end(t *testing.T) (code int, said string) {
	t.Helper()
	timer := time.AfterFunc(20*time.Second, func() { _ = r.Process.Kill() })
	defer timer.Stop()
	_ = r.Wait()
	b, err := os.ReadFile(filepath.Join(r.dir, "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	return r.ProcessState.ExitCode(), string(b)
}

// connection returns a client's end, and the server's as a file.
func connection(t *testing.T, network string) (client net.Conn, server *os.File) {
	t.Helper()
	dir, err := os.MkdirTemp("", "relay")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	listener, err := net.Listen(network, map[string]string{"tcp": "127.0.0.1:0", "unix": filepath.Join(dir, "s")}[network])
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if client, err = net.Dial(network, listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := client.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	server, err = conn.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		t.Fatal(err)
	}
	return client, server
}

const list = `{"jsonrpc":"2.0","id":1,"method":"account_list"}`

func TestEachKindOfSocketIsServed(t *testing.T) {
	t.Parallel()
	for network, request := range map[string]string{
		"tcp":  "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 48\r\n\r\n" + list,
		"unix": list,
	} {
		client, server := connection(t, network)
		r := start(t, server, `printf '{"jsonrpc":"2.0","id":"relay","result":["0x9d"]}\n'`)
		if _, err := io.WriteString(client, request); err != nil {
			t.Fatal(err)
		}
		if unixClient, ok := client.(*net.UnixConn); ok {
			if err := unixClient.CloseWrite(); err != nil {
				t.Fatal(err)
			}
		}
		got, err := io.ReadAll(client)
		if err != nil || !strings.HasSuffix(string(got), `{"jsonrpc":"2.0","id":1,"result":["0x9d"]}`+"\n") {
			t.Errorf("%s: %q, %v", network, got, err)
		}
		code, said := r.end(t)
		lines := strings.Split(strings.TrimSpace(said), "\n")
		if code != 0 || len(lines) != 2 || !strings.Contains(lines[0], "connection opened") || !strings.Contains(lines[1], "connection closed") || !strings.Contains(lines[1], "count=1") {
			t.Errorf("%s: exit code %d, journal: %s", network, code, said)
		}
		if strings.Contains(said, "0x9d") {
			t.Errorf("the journal has what was answered: %s", said)
		}
	}
}

func TestAPageIsAllowedByTheFile(t *testing.T) {
	t.Parallel()
	request := "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nOrigin: https://app.example.org\r\nContent-Type: application/json\r\nContent-Length: 48\r\n\r\n" + list
	for text, want := range map[string]string{
		"[clef]\norigins = [\"https://app.example.org\"]\n": "HTTP/1.1 200 OK",
		"[clef]\norigins = [\"https://app.example.com\"]\n": "HTTP/1.1 403 Forbidden",
		"[clef\n": "HTTP/1.1 403 Forbidden",
	} {
		client, server := connection(t, "tcp")
		config := filepath.Join(t.TempDir(), "splitvault")
		if err := os.Mkdir(config, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(config, "client.toml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r := start(t, server, `printf '{"jsonrpc":"2.0","id":"relay","result":1}'`, "XDG_CONFIG_HOME="+filepath.Dir(config))
		if _, err := io.WriteString(client, request); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(client).ReadString('\n'); strings.TrimSpace(line) != want || err != nil {
			t.Errorf("%q: %q, %v", text, line, err)
		}
		client.Close()
		code, said := r.end(t)
		if code != 0 || strings.HasPrefix(want, "HTTP/1.1 403") != strings.Contains(said, `origins = [\"https://app.example.org\"]`) {
			t.Errorf("%q: exit code %d: %s", text, code, said)
		}
	}
}

func TestStoppingTheRelayEndsItsCall(t *testing.T) {
	t.Parallel()
	client, server := connection(t, "unix")
	r := start(t, server, `echo $$ >"$HOME/pid"; exec sleep 60`)
	if _, err := io.WriteString(client, list); err != nil {
		t.Fatal(err)
	}
	var pid []byte
	for end := time.Now().Add(20 * time.Second); len(bytes.TrimSpace(pid)) == 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no call")
		}
		pid, _ = os.ReadFile(filepath.Join(r.dir, "pid"))
	}
	if err := r.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code, said := r.end(t); code != 0 {
		t.Errorf("exit code %d: %s", code, said)
	}
	if _, err := os.Stat("/proc/" + string(bytes.TrimSpace(pid))); err == nil {
		t.Error("the call is still there")
	}
}

func TestAnythingButAConnectionIsRefused(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"x"}, {"-x"}} {
		cmd := exec.Command(os.Args[0], args...)
		cmd.Env = append(os.Environ(), "CLEF_RELAY_TEST=1")
		out, _ := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != 2 || !bytes.HasPrefix(out, []byte("clef-relay: ")) {
			t.Errorf("%q: exit code %d: %s", args, cmd.ProcessState.ExitCode(), out)
		}
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[1])
	if code, said := start(t, os.NewFile(uintptr(fds[0]), "datagrams"), "").end(t); code != 2 {
		t.Errorf("exit code %d: %s", code, said)
	}
}

func TestHelpAndVersion(t *testing.T) {
	t.Parallel()
	for _, arg := range []string{"--help", "--version"} {
		var stdout, stderr bytes.Buffer
		if code := run([]string{arg}, &stdout, &stderr, nil); code != 0 || stdout.Len() == 0 || stderr.Len() > 0 {
			t.Errorf("%s: %d, %q, %q", arg, code, stdout.String(), stderr.String())
		}
	}
}
