package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/splitvault/splitvault/pkg/passcall/passtest"
)

func TestEveryWayOfBeingStartedServesTheClient(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		place func(r *relay, conn *os.File)
	}{
		{"Accept=yes", func(r *relay, conn *os.File) { r.pass(conn) }},
		{"StandardInput=socket", func(r *relay, conn *os.File) { r.Stdin, r.Stdout = conn, conn }},
		{"StandardInput=socket, and standard error, too", func(r *relay, conn *os.File) { r.Stdin, r.Stdout, r.Stderr = conn, conn, conn }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			conn, client := pair(t)
			r := prepare(t, passtest.New(t, map[string]string{"a": "hunter2\n"}))
			tt.place(r, conn)
			r.start(t)
			conn.Close()
			if _, err := io.WriteString(client, "GET a\nGET exit/126\nGET a\n"); err != nil {
				t.Fatal(err)
			}
			// As socat does, which waits for the answer all the same.
			if err := client.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(client)
			if s := string(got); err != nil || !strings.HasPrefix(s, "OK 8\nhunter2\nERR 126 denied dom0 refused") || !strings.HasSuffix(s, "\nOK 8\nhunter2\n") {
				t.Errorf("the client got %q, %v", got, err)
			}
			if code := r.end(t); code != 0 {
				t.Errorf("exit code %d", code)
			}
		})
	}
}

func TestJournalOfAConnection(t *testing.T) {
	t.Parallel()
	conn, client := pair(t)
	r := prepare(t, passtest.New(t, map[string]string{"a": "hunter2\n"}))
	r.pass(conn)
	r.start(t)
	conn.Close()
	_, _ = io.WriteString(client, "GET a\nFIELD exit/127 otp\n")
	_ = client.CloseWrite()
	if _, err := io.ReadAll(client); err != nil {
		t.Error(err)
	}
	r.end(t)
	lines := strings.Split(strings.TrimSpace(r.said(t)), "\n")
	if len(lines) != 3 {
		t.Fatalf("%d lines:\n%s", len(lines), r.said(t))
	}
	for i, words := range [][]string{
		{"level=info", `msg="connection opened"`, "peer_uid=", "peer_pid=", "peer_comm=", "qube=" + r.vault.Target},
		{"level=warning", `msg="request not served"`, "has no service pass.GetField", "exit=127", "method=FIELD", `entry="\"exit/127\""`, `field="\"otp\""`},
		{"level=info", `msg="connection closed"`, "bytes_in=", "bytes_out=", "count=2", "duration_ms="},
	} {
		for _, word := range words {
			if !strings.Contains(lines[i], word) {
				t.Errorf("line %d does not say %s: %s", i, word, lines[i])
			}
		}
	}
	if strings.Contains(r.said(t), "hunter2") {
		t.Error("a secret is in the journal")
	}
}

func TestStartedByHandSaysHowItIsMeant(t *testing.T) {
	t.Parallel()
	r := prepare(t, passtest.New(t, nil))
	if err := r.Run(); err == nil {
		t.Error("no error")
	}
	if code, said := r.ProcessState.ExitCode(), r.said(t); code != 2 || strings.Count(said, "\n") != 1 ||
		!strings.HasPrefix(said, "pass-relay: no connection from systemd") || !strings.Contains(said, "systemd-socket-activate") {
		t.Errorf("exit code %d, %q", code, said)
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args   string
		code   int
		stdout string
		stderr string
	}{
		{"--help", 0, "usage: pass-relay", ""},
		{"-h", 0, "usage: pass-relay", ""},
		{"--version", 0, "pass-relay ", ""},
		{"--nonsense", 2, "", "pass-relay: wants no arguments (pass-relay --help)\n"},
		{"vault", 2, "", "pass-relay: wants no arguments (pass-relay --help)\n"},
	} {
		t.Run(tt.args, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr bytes.Buffer
			code := run([]string{tt.args}, &stdout, &stderr, func() *logrus.Logger {
				t.Error("the journal was opened")
				return logrus.New()
			})
			if code != tt.code || stderr.String() != tt.stderr || !strings.HasPrefix(stdout.String(), tt.stdout) || (stdout.Len() == 0) != (tt.stdout == "") {
				t.Errorf("code %d, stdout %q, stderr %q", code, stdout.String(), stderr.String())
			}
		})
	}
}

// Wrong settings close the connection and place no call.
func TestWrongSettings(t *testing.T) {
	t.Parallel()
	for _, env := range []string{"QUBES_PASS_DOMAIN=@anyvm", "QUBES_PASS_DOMAIN=a b", "SPLITVAULT_PASS_SCOPE=work"} {
		t.Run(env, func(t *testing.T) {
			t.Parallel()
			conn, client := pair(t)
			r := prepare(t, passtest.New(t, nil), env)
			r.pass(conn)
			r.start(t)
			conn.Close()
			if n, err := client.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
				t.Errorf("the client got %d bytes, %v", n, err)
			}
			name, _, _ := strings.Cut(env, "=")
			if code := r.end(t); code != 2 || !strings.Contains(r.said(t), name) || len(r.vault.Calls(t)) != 0 {
				t.Errorf("exit code %d, %s", code, r.said(t))
			}
		})
	}
}

func TestAttackAPortIsNotServed(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	f, err := conn.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := prepare(t, passtest.New(t, nil))
	r.pass(f)
	r.start(t)
	if code := r.end(t); code != 2 || !strings.Contains(r.said(t), "not a unix socket") {
		t.Errorf("exit code %d, %s", code, r.said(t))
	}
}

func TestNothingIsLeftBehind(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		end  func(r *relay, client *net.UnixConn) error
		code int
	}{
		{"the client goes away", func(_ *relay, client *net.UnixConn) error { return client.Close() }, 0},
		{"the unit is stopped", func(r *relay, _ *net.UnixConn) error { return r.Process.Signal(syscall.SIGTERM) }, 0},
		{"the relay is killed", func(r *relay, _ *net.UnixConn) error { return r.Process.Kill() }, -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			conn, client := pair(t)
			r := prepare(t, passtest.New(t, nil))
			r.pass(conn)
			r.start(t)
			conn.Close()
			if _, err := io.WriteString(client, "GET deaf/x\n"); err != nil {
				t.Fatal(err)
			}
			r.vault.Await(t, 1)
			if err := tt.end(r, client); err != nil {
				t.Fatal(err)
			}
			if code := r.end(t); code != tt.code {
				t.Errorf("exit code %d", code)
			}
		})
	}
}

// One after the other, but for those of other connections: four at once at most.
func TestAtMostFourCallsAtOnce(t *testing.T) {
	t.Parallel()
	vault := passtest.New(t, nil)
	var clients []*net.UnixConn
	var relays []*relay
	runtime := t.TempDir()
	for range 6 {
		conn, client := pair(t)
		r := prepare(t, vault, "XDG_RUNTIME_DIR="+runtime)
		r.pass(conn)
		r.start(t)
		conn.Close()
		if _, err := io.WriteString(client, "GET hang/x\n"); err != nil {
			t.Fatal(err)
		}
		clients, relays = append(clients, client), append(relays, r)
	}
	vault.Await(t, 4)
	for deadline := time.Now().Add(long); ; time.Sleep(2 * time.Millisecond) {
		waiting, err := filepath.Glob(filepath.Join(runtime, "splitvault/slots/pass.ticket.*"))
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("%d wait: %v", len(waiting), err)
		}
		if len(waiting) == 2 {
			break
		}
	}
	if n := vault.Started(t); n != 4 {
		t.Errorf("%d calls at once", n)
	}
	for _, client := range clients {
		client.Close()
	}
	for _, r := range relays {
		if code := r.end(t); code != 0 {
			t.Errorf("exit code %d", code)
		}
	}
}
