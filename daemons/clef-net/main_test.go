package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/splitvault/splitvault/pkg/confine/confinetest"
)

// The test binary is the daemon as well. Its journal is standard error.
func TestMain(m *testing.M) {
	if file := os.Getenv("CLEF_NET_TEST"); file != "" {
		os.Exit(run(os.Args[1:], os.Stdout, os.Stderr, file, func() *logrus.Logger {
			log := logrus.New()
			log.SetFormatter(&logrus.TextFormatter{DisableColors: true, DisableTimestamp: true})
			return log
		}))
	}
	code := m.Run()
	shipped.Remove()
	os.Exit(code)
}

// shipped is this binary as programs are shipped.
var shipped = confinetest.Self()

// clef answers each request with its method, and counts them.
func clef(t *testing.T) (address string, seen func() string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan string, 100)
	server := &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			got <- string(body)
			result := `"6.1.0"`
			if bytes.Contains(body, []byte("account_list")) {
				result = `["0x9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f"]`
			}
			fmt.Fprintf(w, `{"jsonrpc":"2.0","id":"splitvault-guard","result":%s}`, result)
		}),
	}
	done := make(chan struct{})
	go func() { _ = server.Serve(listener); close(done) }() // until it is closed
	t.Cleanup(func() { server.Close(); <-done })
	return listener.Addr().String(), func() string {
		all := ""
		for {
			select {
			case b := <-got:
				all += b + "\n"
			default:
				return all
			}
		}
	}
}

// send sends one request to a daemon with these rules, and returns the status line,
// the rest, and what the daemon said.
func send(t *testing.T, rules, fields, body string) (answer, said string) {
	t.Helper()
	client, end := start(t, rules)
	// An unknown peer is not even read.
	_, _ = fmt.Fprintf(client, "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s", fields, len(body), body)
	b, _ := io.ReadAll(bufio.NewReader(client))
	said, _ = end()
	return string(b), said
}

// start starts a daemon with these rules for a connection; end closes that, and
// returns what the daemon said, and its state while it served.
func start(t *testing.T, rules string) (client net.Conn, end func() (said, state string)) {
	t.Helper()
	program := shipped.Path(t)
	dir, err := os.MkdirTemp("", "net") // a short path: sockets are made in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	file := filepath.Join(dir, "rules.toml")
	if err := os.WriteFile(file, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	client, err = net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	server, err := conn.(*net.TCPConn).File()
	conn.Close()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0"`, program)
	cmd.Env = append(os.Environ(), "CLEF_NET_TEST="+file, "LISTEN_FDS=1", "XDG_RUNTIME_DIR="+dir, "XDG_STATE_HOME="+dir)
	cmd.ExtraFiles = []*os.File{server}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	server.Close()
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	if err := client.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return client, func() (said, state string) {
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
		client.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
		return stderr.String(), string(status)
	}
}

const list = `{"jsonrpc":"2.0","id":1,"method":"account_list"}`

func TestAKnownPeerIsJudgedByTheRulesForItsName(t *testing.T) {
	t.Parallel()
	address, seen := clef(t)
	rules := fmt.Sprintf("[clef]\nbackend = \"http://%s\"\n[[clef.peer]]\naddress = \"127.0.0.1\"\nname = \"dapp\"\n"+
		"[[clef.rule]]\nqube = \"dapp\"\nmethods = [\"account_list\"]\ndecision = \"allow\"\n"+
		"[[clef.rule]]\nqube = \"dapp\"\norigins = [\"https://app.example.org\"]\nmethods = [\"account_version\"]\ndecision = \"ask\"\n", address)
	answer, said := send(t, rules, "", list)
	if !strings.HasPrefix(answer, "HTTP/1.1 200 ") || !strings.HasSuffix(answer, `{"jsonrpc":"2.0","id":1,"result":["0x9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f"]}`+"\n") {
		t.Errorf("%s\n%s", answer, said)
	}
	if got := seen(); strings.Count(got, "account_list") != 1 {
		t.Errorf("Clef got %s", got)
	}
	for name, tt := range map[string]struct{ fields, body, want string }{
		"no rule":               {"", strings.Replace(list, "list", "new", 1), `"code":4100`},
		"nobody to ask":         {"", strings.Replace(list, "list", "version", 1), `"code":4100`},
		"ask, for a page":       {"Origin: https://app.example.org\r\n", strings.Replace(list, "list", "version", 1), `"code":4001,"message":"User denied: nobody can be asked`},
		"another page":          {"Origin: https://evil.example\r\n", list, "HTTP/1.1 403 "},
		"its own loop":          {"", strings.Replace(list, `"id":1`, `"id":"splitvault-guard"`, 1), `"code":4900`},
		"a node's method":       {"", strings.Replace(list, "account_list", "eth_chainId", 1), `"code":4200`},
		"another host":          {"Host: armory\r\n", list, "HTTP/1.1 400 "},
		"a key of another case": {"", `{"jsonrpc":"2.0","id":1,"method":"account_list","METHOD":"account_new"}`, "HTTP/1.1 400 "},
	} {
		answer, said := send(t, rules, tt.fields, tt.body)
		if !strings.Contains(answer, tt.want) {
			t.Errorf("%s: %s\n%s", name, answer, said)
		}
	}
	if got := seen(); strings.Contains(got, "account_list") || strings.Contains(got, "account_new") {
		t.Errorf("Clef got %s", got)
	}
}

// The first byte is read by a process that is confined, and that serves all the same:
// several requests on a connection, counted by a rate, over Clef's socket as over its port.
func TestAPeerIsServedByAConfinedProcess(t *testing.T) {
	t.Parallel()
	address, _ := clef(t)
	const rule = "[[clef.peer]]\naddress = \"127.0.0.1\"\nname = \"dapp\"\n[[clef.rule]]\nqube = \"dapp\"\ndecision = \"allow\"\nrate = \"2/h\"\n"
	for _, backend := range []string{"http://" + address, "unix:" + ipc(t)} {
		client, end := start(t, fmt.Sprintf("[clef]\nbackend = %q\n%s", backend, rule))
		answers := bufio.NewReader(client)
		for _, want := range []string{`"result":["0x9d8a`, `"result":["0x9d8a`, `"code":4001`} {
			fmt.Fprintf(client, "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(list), list)
			answer, err := http.ReadResponse(answers, nil)
			if err != nil {
				t.Fatal(err)
			}
			if body, err := io.ReadAll(answer.Body); err != nil || !strings.Contains(string(body), want) {
				t.Errorf("%s: %s, %v; want %s", backend, body, err, want)
			}
		}
		said, state := end()
		for _, want := range []string{"NoNewPrivs:\t1\n", "Seccomp:\t2\n"} {
			if !strings.Contains(state, want) {
				t.Errorf("%s: no %q in %s", backend, want, state)
			}
		}
		if strings.Contains(said, "error") || strings.Contains(said, "kernel") {
			t.Errorf("%s: %s", backend, said)
		}
	}
}

// ipc is a Clef that answers over its socket.
func ipc(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "clef.ipc")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				for lines := bufio.NewScanner(conn); lines.Scan(); {
					result := `"6.1.0"`
					if strings.Contains(lines.Text(), "account_list") {
						result = `["0x9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f"]`
					}
					fmt.Fprintf(conn, `{"jsonrpc":"2.0","id":"splitvault-guard","result":%s}`+"\n", result)
				}
			}()
		}
	}()
	return path
}

func TestNobodyElseGetsAByte(t *testing.T) {
	t.Parallel()
	address, seen := clef(t)
	for name, rules := range map[string]string{
		"another address": "[[clef.peer]]\naddress = \"127.0.0.2\"\nname = \"dapp\"\n[[clef.rule]]\nqube = \"*\"\ndecision = \"allow\"\n",
		"no peers":        "[[clef.rule]]\nqube = \"*\"\ndecision = \"allow\"\n",
		"a mistake":       "[[clef.peer]]\naddress = \"127.0.0.1\"\nname = \"dapp\"\n[[clef.rul]]\n",
	} {
		answer, said := send(t, "[clef]\nbackend = \"http://"+address+"\"\n"+rules, "", list)
		if answer != "" || !strings.Contains(said, "connection") {
			t.Errorf("%s: %q\n%s", name, answer, said)
		}
	}
	if got := seen(); got != "" {
		t.Errorf("Clef got %s", got)
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, arg := range []string{"--help", "--version"} {
		var stdout, stderr bytes.Buffer
		if code := run([]string{arg}, &stdout, &stderr, "", nil); code != 0 || stdout.Len() == 0 || stderr.Len() > 0 {
			t.Errorf("%s: %d, %q, %q", arg, code, stdout.String(), stderr.String())
		}
	}
	for _, args := range [][]string{nil, {"x"}} {
		cmd := exec.Command(os.Args[0], args...)
		cmd.Env = append(os.Environ(), "CLEF_NET_TEST=/nonexistent")
		out, _ := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != 2 || !bytes.HasPrefix(out, []byte("clef-net: ")) {
			t.Errorf("%q: %d %s", args, cmd.ProcessState.ExitCode(), out)
		}
	}
}
