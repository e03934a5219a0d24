package activate

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A test starts its own binary as the relay. File descriptor 3 cannot be
// renamed, so the child is told what to be by the environment.
func TestMain(m *testing.M) {
	if path := os.Getenv("ACTIVATE_TEST_REPORT"); path != "" {
		os.Exit(relay(path))
	}
	os.Exit(m.Run())
}

// relay reports to a file, as the standard streams may be the connection.
func relay(path string) int {
	if os.Getenv("LISTEN_PID") == "self" { // a parent cannot know it
		os.Setenv("LISTEN_PID", fmt.Sprint(os.Getpid()))
	}
	report, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return 1
	}
	conn, err := Connection()
	for _, name := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID"} {
		if value, ok := os.LookupEnv(name); ok {
			fmt.Fprintf(report, "left in the environment: %s=%s\n", name, value)
		}
	}
	if err != nil {
		fmt.Fprintf(report, "error: %v\n", err)
		return 2
	}
	fmt.Fprintf(report, "path: %s\n", SocketPath(conn))
	// What a careless library, or a panic, would do.
	fmt.Fprintln(os.Stdout, "STRAY LINE ON STANDARD OUTPUT")
	fmt.Fprintln(os.Stderr, "STRAY LINE ON STANDARD ERROR")
	if _, err := fmt.Fprintln(conn, "hello"); err != nil {
		fmt.Fprintf(report, "error: %v\n", err)
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	fmt.Fprintf(report, "read: %q %v\n", line, err)
	conn.Close()
	time.Sleep(30 * time.Second) // the peer must see the end all the same
	return 0
}

// child is a relay to be started.
type child struct {
	*exec.Cmd
	report string
}

func newChild(t *testing.T, env ...string) *child {
	t.Helper()
	report := filepath.Join(t.TempDir(), "report")
	if err := os.WriteFile(report, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), append(env, "ACTIVATE_TEST_REPORT="+report, "GORACE=atexit_sleep_ms=0")...)
	return &child{Cmd: cmd, report: report}
}

func (c *child) said(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(c.report)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// accepted returns the two ends of a connection through a listening socket.
func accepted(t *testing.T, name string) (server, client *os.File, path string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "activate")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path = filepath.Join(dir, name)
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	return file(t, s.(*net.UnixConn)), file(t, c.(*net.UnixConn)), path
}

// file is a duplicate of the descriptor of a connection or listener.
func file(t *testing.T, of interface{ File() (*os.File, error) }) *os.File {
	t.Helper()
	f, err := of.File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestConnectionOnEveryWayFromSystemd(t *testing.T) {
	t.Parallel()
	activated := []string{"LISTEN_PID=self", "LISTEN_FDS=1", "LISTEN_FDNAMES=connection", "LISTEN_PIDFDID=12345"}
	for _, tt := range []struct {
		name  string
		env   []string
		place func(c *child, server *os.File)
	}{
		{"Accept=yes", activated, func(c *child, s *os.File) { c.ExtraFiles = []*os.File{s} }},
		{"Accept=yes, and every standard stream is the socket", activated, func(c *child, s *os.File) {
			c.Stdin, c.Stdout, c.Stderr, c.ExtraFiles = s, s, s, []*os.File{s}
		}},
		{"StandardInput=socket", nil, func(c *child, s *os.File) { c.Stdin = s }},
		{"StandardInput=socket, the other streams inherit", nil, func(c *child, s *os.File) { c.Stdin, c.Stdout, c.Stderr = s, s, s }},
		{"inetd, with the environment of another process", []string{"LISTEN_PID=1", "LISTEN_FDS=1"}, func(c *child, s *os.File) { c.Stdin = s }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server, client, path := accepted(t, "card.sock")
			c := newChild(t, tt.env...)
			tt.place(c, server)
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				_ = c.Process.Kill()
				_ = c.Wait()
			})
			server.Close()
			if _, err := client.WriteString("question\n"); err != nil {
				t.Fatal(err)
			}
			conn, err := net.FileConn(client)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
				t.Fatal(err)
			}
			// To the end, which comes while the process lives on.
			if got, err := io.ReadAll(conn); string(got) != "hello\n" || err != nil {
				t.Errorf("the client got %q, %v", got, err)
			}
			if got, want := c.said(t), fmt.Sprintf("path: %s\nread: \"question\\n\" <nil>\n", path); got != want {
				t.Errorf("the relay says\n%swant\n%s", got, want)
			}
		})
	}
}

func TestNoConnectionSaysHowItIsMeantToBeStarted(t *testing.T) {
	t.Parallel()
	listening := func(t *testing.T, c *child) {
		dir, err := os.MkdirTemp("", "activate")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		listener, err := net.Listen("unix", filepath.Join(dir, "s"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { listener.Close() })
		c.ExtraFiles = []*os.File{file(t, listener.(*net.UnixListener))}
	}
	one := []string{"LISTEN_PID=self", "LISTEN_FDS=1"}
	for _, tt := range []struct {
		name  string
		env   []string
		place func(t *testing.T, c *child)
		says  string
	}{
		{"nothing", nil, func(*testing.T, *child) {}, "no connection from systemd"},
		{"a pipe as input", nil, func(_ *testing.T, c *child) { c.Stdin = strings.NewReader("x") }, "no connection from systemd"},
		{"a promise and no descriptor", one, func(*testing.T, *child) {}, "Accept=yes"},
		{"the listening socket, of Accept=no", one, listening, "Accept=yes"},
		{"a file", one, func(t *testing.T, c *child) {
			f, err := os.Open(os.DevNull)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { f.Close() })
			c.ExtraFiles = []*os.File{f}
		}, "Accept=yes"},
		{"a datagram socket", one, func(t *testing.T, c *child) {
			fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, fd := range fds {
				f := os.NewFile(uintptr(fd), "datagram")
				t.Cleanup(func() { f.Close() })
				c.ExtraFiles = []*os.File{f}
			}
		}, "Accept=yes"},
		{"two connections", []string{"LISTEN_PID=self", "LISTEN_FDS=2"}, func(t *testing.T, c *child) {
			a, b, _ := accepted(t, "s")
			c.ExtraFiles = []*os.File{a, b}
		}, "got 2 sockets"},
		{"more than there can be", []string{"LISTEN_PID=self", "LISTEN_FDS=2000000000"}, func(*testing.T, *child) {}, "got 16 sockets"},
		{"a number that is none", []string{"LISTEN_PID=self", "LISTEN_FDS=-1"}, func(*testing.T, *child) {}, "no connection from systemd"},
		{"a word", []string{"LISTEN_PID=self", "LISTEN_FDS=one"}, func(*testing.T, *child) {}, "no connection from systemd"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newChild(t, tt.env...)
			tt.place(t, c)
			err := c.Run()
			if c.ProcessState == nil || c.ProcessState.ExitCode() != 2 {
				t.Errorf("ended with %v", err)
			}
			got := c.said(t)
			for _, want := range []string{"error: ", tt.says, "systemd-socket-activate --accept"} {
				if !strings.Contains(got, want) {
					t.Errorf("%q does not say %q", got, want)
				}
			}
			if strings.Count(got, "\n") != 1 {
				t.Errorf("more than one line: %q", got)
			}
		})
	}
}

func TestSocketPathWhereThereIsNone(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got := SocketPath(conn); got != "" {
		t.Errorf("a port has the path %q", got)
	}
	_, client, _ := accepted(t, "s")
	anonymous, err := net.FileConn(client)
	if err != nil {
		t.Fatal(err)
	}
	defer anonymous.Close()
	if got := SocketPath(anonymous); got != "" {
		t.Errorf("a socket without name has the path %q", got)
	}
}
