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

	"github.com/sirupsen/logrus"

	"github.com/splitvault/splitvault/pkg/qrexec/qrexectest"
	"github.com/splitvault/splitvault/pkg/sshagent"
	"github.com/splitvault/splitvault/pkg/sshagent/agenttest"
	"github.com/splitvault/splitvault/pkg/userbus/bustest"
)

func TestEveryWayOfBeingStartedServesTheClient(t *testing.T) {
	t.Parallel()
	list := sshagent.RequestIdentities()
	for _, tt := range []struct {
		name  string
		place func(r *relay, conn *os.File)
	}{
		{"Accept=yes", func(r *relay, conn *os.File) { r.pass(conn) }},
		{"StandardInput=socket", func(r *relay, conn *os.File) { r.Stdin, r.Stdout = conn, conn }},
		{"StandardInput=socket, and standard error, too", func(r *relay, conn *os.File) { r.Stdin, r.Stdout, r.Stderr = conn, conn, conn }},
	} {
		for service, want := range map[string][]byte{
			qrexectest.Answer:        qrexectest.Reply(list).Bytes(),
			qrexectest.Exit + "+126": sshagent.Failure().Bytes(),
		} {
			t.Run(tt.name+" "+service, func(t *testing.T) {
				t.Parallel()
				conn, client := pair(t)
				r := prepare(t, service)
				tt.place(r, conn)
				r.start(t)
				conn.Close()
				if _, err := client.Write(list.Bytes()); err != nil {
					t.Fatal(err)
				}
				if err := client.CloseWrite(); err != nil {
					t.Fatal(err)
				}
				// Not a byte more than the answer.
				if got, err := io.ReadAll(client); !bytes.Equal(got, want) || err != nil {
					t.Errorf("the client got %x, %v, want %x", got, err, want)
				}
				if code := r.end(t); code != 0 {
					t.Errorf("exit code %d", code)
				}
			})
		}
	}
}

func TestJournalOfAConnection(t *testing.T) {
	t.Parallel()
	conn, client := pair(t)
	r := prepare(t, qrexectest.Exit+"+127")
	r.pass(conn)
	r.start(t)
	conn.Close()
	if _, err := client.Write(sshagent.RequestIdentities().Bytes()); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(client, make([]byte, 5)); err != nil {
		t.Error(err)
	}
	client.Close()
	if code := r.end(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	lines := strings.Split(strings.TrimSpace(r.said(t)), "\n")
	if len(lines) != 3 {
		t.Fatalf("%d lines:\n%s", len(lines), r.said(t))
	}
	for i, words := range [][]string{
		{"level=info", `msg="connection opened"`, "peer_uid=", "peer_pid=", "peer_comm=", "qube=" + r.calls.Target, "service=test.Exit+127"},
		{"level=warning", `msg="request not served"`, "has no service test.Exit", "exit=127"},
		{"level=info", `msg="connection closed"`, "bytes_in=5", "bytes_out=5", "count=1", "duration_ms="},
	} {
		for _, word := range words {
			if !strings.Contains(lines[i], word) {
				t.Errorf("line %d does not say %s: %s", i, word, lines[i])
			}
		}
	}
}

func TestStartedByHandSaysHowItIsMeant(t *testing.T) {
	t.Parallel()
	r := prepare(t, "qubes.Ssh")
	if err := r.Run(); err == nil {
		t.Error("no error")
	}
	if code, said := r.ProcessState.ExitCode(), r.said(t); code != 2 || strings.Count(said, "\n") != 1 ||
		!strings.HasPrefix(said, "ssh-relay: no connection from systemd") || !strings.Contains(said, "systemd-socket-activate") {
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
		{"--help", 0, "usage: ssh-relay", ""},
		{"-h", 0, "usage: ssh-relay", ""},
		{"--version", 0, "ssh-relay ", ""},
		{"--nonsense", 2, "", "ssh-relay: wants no arguments (ssh-relay --help)\n"},
		{"vault", 2, "", "ssh-relay: wants no arguments (ssh-relay --help)\n"},
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
	for env, says := range map[string]string{
		"QUBES_SSH_DOMAIN=@anyvm":       "QUBES_SSH_DOMAIN",
		"QUBES_SSH_SERVICE=-":           "",
		"QUBES_SSH_SERVICE=a b":         "QUBES_SSH_SERVICE",
		"SPLITVAULT_SSH_IDLE=for ever":  "SPLITVAULT_SSH_IDLE",
		"SPLITVAULT_QREXEC_CLIENT=/x/y": "",
	} {
		t.Run(env, func(t *testing.T) {
			t.Parallel()
			conn, client := pair(t)
			r := prepare(t, qrexectest.Answer, env)
			r.pass(conn)
			r.start(t)
			conn.Close()
			if says == "" { // allowed, but leads nowhere
				if _, err := client.Write(sshagent.RequestIdentities().Bytes()); err != nil {
					t.Fatal(err)
				}
				got := make([]byte, 5)
				if _, err := io.ReadFull(client, got); err != nil || !bytes.Equal(got, sshagent.Failure().Bytes()) {
					t.Errorf("the client got %x, %v", got, err)
				}
				client.Close()
				r.end(t)
				return
			}
			if n, err := client.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
				t.Errorf("the client got %d bytes, %v", n, err)
			}
			if code := r.end(t); code != 2 || !strings.Contains(r.said(t), says) || r.calls.Count(t) != 0 {
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
	r := prepare(t, qrexectest.Answer)
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
			r := prepare(t, qrexectest.Deaf)
			r.pass(conn)
			r.start(t)
			conn.Close()
			if _, err := client.Write(sshagent.RequestIdentities().Bytes()); err != nil {
				t.Fatal(err)
			}
			r.calls.Await(t, "deaf", 1)
			if err := tt.end(r, client); err != nil {
				t.Fatal(err)
			}
			if code := r.end(t); code != tt.code {
				t.Errorf("exit code %d", code)
			}
		})
	}
}

// With OpenSSH's own client and agent.
func TestRealClientAndAgentThroughTheRelay(t *testing.T) {
	agent := agenttest.Start(t)
	key := filepath.Join(agent.Dir, "test_key")
	for _, command := range [][]string{
		{"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "in the vault", "-f", key},
		{"ssh-add", "-q", key},
	} {
		client(t, agent.Socket, command...)
	}
	if err := os.Remove(key); err != nil { // the agent alone has it now
		t.Fatal(err)
	}
	socket, _ := listen(t, "S.ssh-agent", qrexectest.Agent, qrexectest.AgentVariable+"="+agent.Socket)
	if out, code := client(t, socket, "ssh-add", "-L"); code != 0 || !strings.Contains(out, "in the vault") {
		t.Errorf("ssh-add -L: %d, %s", code, out)
	}
	if out, code := client(t, socket, "ssh-add", "-D"); code == 0 || !strings.Contains(out, "Failed to remove") {
		t.Errorf("ssh-add -D: %d, %s", code, out)
	}
	file := filepath.Join(agent.Dir, "file")
	if err := os.WriteFile(file, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, code := client(t, socket, "ssh-keygen", "-Y", "sign", "-n", "file", "-f", key+".pub", file); code != 0 {
		t.Errorf("signing: %d, %s", code, out)
	}
	if out, code := client(t, socket, "sh", "-c", `ssh-keygen -Y check-novalidate -n file -s "$0.sig" <"$0"`, file); code != 0 {
		t.Errorf("checking the signature: %d, %s", code, out)
	}
	if out, code := client(t, agent.Socket, "ssh-add", "-l"); code != 0 {
		t.Errorf("the key is gone from the vault: %s", out)
	}
}

func TestRealClientIsToldCleanlyThatDom0Refused(t *testing.T) {
	agenttest.Need(t, "ssh-add")
	socket, _ := listen(t, "S.ssh-agent", qrexectest.Exit+"+126")
	if out, code := client(t, socket, "ssh-add", "-l"); code != 1 || !strings.Contains(out, "agent refused operation") {
		t.Errorf("ssh-add -l: %d, %s", code, out)
	}
}

func TestAgentByTheNameOfTheSocket(t *testing.T) {
	socket, relays := listen(t, "card.sock", qrexectest.Answer)
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(sshagent.RequestIdentities().Bytes()); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if got := relays[0].calls.Notes(t, "service"); len(got) != 1 || got[0] != "test.Answer+card" {
		t.Errorf("called %q", got)
	}
}

// On the screen, through a real bus: once for three connections that fail alike.
func TestPersonIsToldOnce(t *testing.T) {
	dir, address := bustest.Start(t)
	server := bustest.Serve(t, address, 0)
	socket, _ := listen(t, "S.ssh-agent", qrexectest.Exit+"+126", "XDG_RUNTIME_DIR="+dir, "DBUS_SESSION_BUS_ADDRESS="+address)
	for range 3 {
		conn, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write(sshagent.RequestIdentities().Bytes()); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(conn, make([]byte, 5)); err != nil {
			t.Error(err)
		}
		conn.Close()
	}
	if shown := server.Shown(); len(shown) != 1 || shown[0].Summary != "ssh: the vault did not answer" || !strings.Contains(shown[0].Body, "dom0 refused") {
		t.Errorf("shown %+v", shown)
	}
}
