package peer

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestMain(m *testing.M) {
	if socket := os.Getenv("PEER_TEST_CONNECT"); socket != "" {
		connect(socket)
	}
	os.Exit(m.Run())
}

// connect is a client that gives itself a name.
func connect(socket string) {
	if err := os.WriteFile("/proc/self/comm", []byte(os.Getenv("PEER_TEST_NAME")), 0); err != nil {
		os.Exit(1)
	}
	conn, err := net.Dial("unix", socket)
	if err != nil {
		os.Exit(1)
	}
	_, _ = conn.Read(make([]byte, 1)) // until the test is done
	os.Exit(0)
}

func TestOfIsTheProcessThatConnected(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, calls, want string }{
		{"plain", "git", "git"},
		{"of the longest kind", "exactly15bytes!", "exactly15bytes!"},
		{"control characters and line ends", "a\x1b[31m\nb", "a_[31m_b"},
		{"not ASCII", "s\u202esh", "s_sh"},
		{"not UTF-8", "a\xff\xfeb", "a__b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir, err := os.MkdirTemp("", "peer")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(dir) })
			socket := filepath.Join(dir, "s")
			listener, err := net.Listen("unix", socket)
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			client := exec.Command(os.Args[0])
			client.Env = append(os.Environ(), "PEER_TEST_CONNECT="+socket, "PEER_TEST_NAME="+tt.calls, "GORACE=atexit_sleep_ms=0")
			if err := client.Start(); err != nil {
				t.Fatal(err)
			}
			conn, err := listener.Accept()
			if err != nil {
				t.Fatal(err)
			}
			got, err := Of(conn)
			if want := (Peer{UID: os.Getuid(), PID: client.Process.Pid, Comm: tt.want}); got != want || err != nil {
				t.Errorf("got %+v, %v, want %+v", got, err, want)
			}
			conn.Close()
			if err := client.Wait(); err != nil {
				t.Error(err)
			}
		})
	}
}

// The name of a process that has ended is unknown, its ids are still a fact.
func TestOfAProcessThatHasEnded(t *testing.T) {
	t.Parallel()
	if got := comm(1 << 30); got != "" {
		t.Errorf("name of no process: %q", got)
	}
}

func TestOfAPortIsUnknown(t *testing.T) {
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
	if _, err := Of(conn); !errors.Is(err, ErrNotUnix) {
		t.Errorf("error %v, want ErrNotUnix", err)
	}
}

func TestOfAClosedConnection(t *testing.T) {
	t.Parallel()
	ours, theirs := net.Pipe()
	theirs.Close()
	if _, err := Of(ours); err == nil || !strings.HasPrefix(err.Error(), "asking who connected") {
		t.Errorf("error %v", err)
	}
}
