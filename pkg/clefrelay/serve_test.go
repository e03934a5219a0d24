package clefrelay

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// connect returns both ends of a connection.
func connect(t *testing.T, network string) (client, server net.Conn) {
	t.Helper()
	address := map[string]string{"tcp4": "127.0.0.1:0", "tcp6": "[::1]:0"}[network]
	if network == "unix" {
		dir, err := os.MkdirTemp("", "clef")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		address = filepath.Join(dir, "s")
	}
	listener, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if client, err = net.Dial(network, listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	if server, err = listener.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	if err := client.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return client, server
}

// serving serves a client over HTTP and returns its end.
func (v *vault) serving(t *testing.T, network string) (client net.Conn, done chan error) {
	t.Helper()
	client, server := connect(t, network)
	who, err := Identify(server, os.Getuid())
	if err != nil {
		t.Fatal(err)
	}
	v.relay.Client = who
	done = make(chan error, 1)
	go func() {
		_, err := v.relay.ServeHTTP(t.Context(), server.(*net.TCPConn), func(o string) bool { return o == "https://app.example.org" })
		done <- err
	}()
	return client, done
}

func httpPost(host, fields, body string) string {
	return fmt.Sprintf("POST / HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s", host, fields, len(body), body)
}

func answer(t *testing.T, in *bufio.Reader) (*http.Response, string) {
	t.Helper()
	response, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}

func TestHTTP(t *testing.T) {
	t.Parallel()
	for network, host := range map[string]string{"tcp4": "localhost", "tcp6": "[::1]"} {
		v := newVault(t, answering(`"result":["0x9d"]`))
		client, done := v.serving(t, network)
		_, port, _ := net.SplitHostPort(client.RemoteAddr().String())
		in := bufio.NewReader(client)
		good := httpPost(host+":"+port, "", request("1", "account_list", "[]"))
		for range 2 { // keep-alive
			if _, err := io.WriteString(client, good); err != nil {
				t.Fatal(err)
			}
			response, body := answer(t, in)
			if response.StatusCode != 200 || body != `{"jsonrpc":"2.0","id":1,"result":["0x9d"]}`+"\n" || response.Header.Get("Content-Type") != "application/json" {
				t.Errorf("%s: %d %s", network, response.StatusCode, body)
			}
		}
		// No JSON is no request, but leaves the connection in order.
		if _, err := io.WriteString(client, httpPost(host, "", "{}{}")+httpPost(host, "Origin: https://evil.example\r\n", request("1", "account_list", "[]"))); err != nil {
			t.Fatal(err)
		}
		if response, body := answer(t, in); response.StatusCode != 400 || !strings.Contains(body, "-32700") {
			t.Errorf("%d %s", response.StatusCode, body)
		}
		if response, body := answer(t, in); response.StatusCode != 403 || response.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%d %s", response.StatusCode, body)
		}
		client.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if v.calls() != 2 {
			t.Errorf("%d calls", v.calls())
		}
		if log := v.logged(); !strings.Contains(log, `client.toml: [clef] and below it: origins = [\"https://evil.example\"]`) {
			t.Errorf("journal: %s", log)
		}
		if len(v.told) != 1 || !strings.Contains(v.told[0], "https://evil.example") {
			t.Errorf("told: %q", v.told)
		}
	}
}

func TestAClientThatOnlyStoppedSendingGetsItsAnswer(t *testing.T) {
	t.Parallel()
	v := newVault(t, `sleep 1.5; `+answering(`"result":1`))
	client, done := v.serving(t, "tcp4")
	if _, err := io.WriteString(client, httpPost("localhost", "", request("1", "account_list", "[]"))); err != nil {
		t.Fatal(err)
	}
	if err := client.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if response, body := answer(t, bufio.NewReader(client)); response.StatusCode != 200 || !strings.Contains(body, `"result":1`) {
		t.Errorf("%d %s", response.StatusCode, body)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestAClientThatHasGoneIsNoticedWhileAPersonReads(t *testing.T) {
	t.Parallel()
	v := newVault(t, `exec sleep 60`)
	v.relay.Config.Join.Patience = 50 * time.Millisecond
	client, done := v.serving(t, "tcp4")
	if _, err := io.WriteString(client, httpPost("localhost", "", request("1", "account_list", "[]"))); err != nil {
		t.Fatal(err)
	}
	until(t, "the call", func() bool { return v.calls() == 1 })
	client.Close()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Error("the relay does not end")
	}
}

// What is left of a batch would prompt a person, one request after the other, for
// nobody.
func TestAttackABatchWhoseClientIsGoneAsksNothingMore(t *testing.T) {
	t.Parallel()
	v := newVault(t, `exec sleep 60`)
	v.relay.Config.Join.Patience = 50 * time.Millisecond
	client, done := v.serving(t, "tcp4")
	batch := "[" + request("1", "account_list", "[]") + "," + request("2", "account_signData", `["a"]`) + "," + request("3", "account_signData", `["b"]`) + "]"
	if _, err := io.WriteString(client, httpPost("localhost", "", batch)); err != nil {
		t.Fatal(err)
	}
	until(t, "the call", func() bool { return v.calls() == 1 })
	client.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := v.calls(); n != 1 {
		t.Errorf("%d calls, of which only the first had a client", n)
	}
}

func TestOtherUsersAreNotServed(t *testing.T) {
	t.Parallel()
	for _, network := range []string{"tcp4", "tcp6", "unix"} {
		client, server := connect(t, network)
		if who, err := Identify(server, os.Getuid()+1); !errors.Is(err, ErrOtherUser) {
			t.Errorf("%s: %+v, %v", network, who, err)
		}
		if network == "unix" {
			continue // the kernel keeps who connected
		}
		client.Close()
		if who, err := Identify(server, 0); !errors.Is(err, ErrOtherUser) {
			t.Errorf("%s: a closed end is taken for root: %+v, %v", network, who, err)
		}
	}
}

// stream serves a client of clef.ipc.
func (v *vault) stream(t *testing.T) (client net.Conn, done chan error) {
	t.Helper()
	client, server := connect(t, "unix")
	done = make(chan error, 1)
	go func() {
		_, err := v.relay.ServeStream(t.Context(), server.(*net.UnixConn))
		done <- err
	}()
	return client, done
}

func TestAStreamOfRequests(t *testing.T) {
	t.Parallel()
	v := newVault(t, `case $3 in *version) `+answering(`"result":"6.1.0"`)+`;; *) while [ ! -e go ]; do sleep 0.02; done;`+answering(`"result":[]`)+`;; esac`)
	client, done := v.stream(t)
	in := bufio.NewReader(client)
	// With nothing between them, and in the middle of the next.
	if _, err := io.WriteString(client, request("1", "account_list", "[]")+request("2", "account_version", "[]")+`{"jsonrpc":"2.0",`); err != nil {
		t.Fatal(err)
	}
	// The first waits for a person; the second does not wait for it.
	if line, err := in.ReadString('\n'); line != `{"jsonrpc":"2.0","id":2,"result":"6.1.0"}`+"\n" || err != nil {
		t.Fatalf("%q, %v", line, err)
	}
	if err := os.WriteFile(v.dir+"/go", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if line, err := in.ReadString('\n'); line != `{"jsonrpc":"2.0","id":1,"result":[]}`+"\n" || err != nil {
		t.Fatalf("%q, %v", line, err)
	}
	if _, err := io.WriteString(client, `"id":3,"method":"account_version"} [`+request("4", "account_version", "[]")+`]`); err != nil {
		t.Fatal(err)
	}
	if err := client.(*net.UnixConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(in)
	if err != nil || len(strings.Split(strings.TrimSpace(string(rest)), "\n")) != 2 ||
		!strings.Contains(string(rest), `{"jsonrpc":"2.0","id":3,"result":"6.1.0"}`+"\n") || !strings.Contains(string(rest), `[{"jsonrpc":"2.0","id":4,"result":"6.1.0"}]`+"\n") {
		t.Errorf("%q, %v", rest, err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestAStreamOfSomethingElseIsToldSoAndEnds(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"GET / HTTP/1.1\r\n\r\n", `"x"`, "\x00\x00\x00\x05", "[" + strings.Repeat(" ", 5<<20)} {
		v := newVault(t, answering(`"result":1`))
		client, done := v.stream(t)
		go func() { _, _ = io.WriteString(client, text) }()
		line, err := bufio.NewReader(client).ReadString('\n')
		if !strings.Contains(line, "-32700") {
			t.Errorf("%.20q: %q, %v", text, line, err)
		}
		if err := <-done; err == nil {
			t.Errorf("%.20q: no error", text)
		}
		if v.calls() != 0 {
			t.Error("a call")
		}
	}
}

func TestAStreamWhoseClientIsGoneEndsItsCalls(t *testing.T) {
	t.Parallel()
	v := newVault(t, `exec sleep 60`)
	v.relay.Config.Join.Patience = 50 * time.Millisecond
	client, done := v.stream(t)
	if _, err := io.WriteString(client, request("1", "account_list", "[]")); err != nil {
		t.Fatal(err)
	}
	until(t, "the call", func() bool { return v.calls() == 1 })
	client.Close()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Error("the relay does not end")
	}
}

func TestConfigFrom(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	env := map[string]string{"QUBES_CLEF_DOMAIN": "vault", "XDG_RUNTIME_DIR": dir, "SPLITVAULT_QREXEC_CLIENT": "/bin/true"}
	c, err := ConfigFrom(func(k string) string { return env[k] }, "work")
	if err != nil || c.Dialer.Target != "vault" || c.Dialer.Client != "/bin/true" || c.Dialer.Pool == nil || c.Join == nil || c.StateErr != nil {
		t.Errorf("%+v, %v", c, err)
	}
	env["QUBES_CLEF_DOMAIN"] = "vault;rm"
	if _, err := ConfigFrom(func(k string) string { return env[k] }, "work"); err == nil {
		t.Error("a name that is none")
	}
	env["QUBES_CLEF_DOMAIN"], env["XDG_RUNTIME_DIR"] = "", "/nonexistent"
	if c, err := ConfigFrom(func(k string) string { return env[k] }, ""); err != nil || c.StateErr == nil || c.Join != nil {
		t.Errorf("%+v, %v", c, err)
	}
}

// By a name, a page that rebinds it could get at a machine; by a number it cannot.
func TestOnTheNetworkAHostIsANumber(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]bool{
		"10.0.0.1": true, "10.0.0.1:8551": true, "[fd00::1]": true, "[fd00::1]:8551": true, "localhost": true, "localhost:8551": true,
		"": false, "armory": false, "10.0.0.1.evil.example": false, "10.0.0.1:": false, "10.0.0.1:x": false, "10.0.0.1:99999": false,
		"fd00::1": false, "[fd00::1%eth0]": false, "127.1": false, "0x7f000001": false, "[10.0.0.1": false, "localhost:x": false, "localhost.": false,
	} {
		if got := isNumber(host); got != want {
			t.Errorf("%q: %v", host, got)
		}
	}
}

func TestANetworkClientThatStopsSendingHasGone(t *testing.T) {
	t.Parallel()
	v := newVault(t, `exec sleep 60`)
	v.relay.Config.Join.Patience = 50 * time.Millisecond
	client, server := connect(t, "tcp4")
	done := make(chan error, 1)
	go func() {
		_, err := v.relay.ServeNetwork(t.Context(), server.(*net.TCPConn), func(string) bool { return false })
		done <- err
	}()
	if _, err := io.WriteString(client, httpPost("10.0.0.1:8551", "", request("1", "account_list", "[]"))); err != nil {
		t.Fatal(err)
	}
	until(t, "the call", func() bool { return v.calls() == 1 })
	if err := client.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Error("it does not end")
	}
}
