package clefbackend_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/splitvault/splitvault/pkg/clefbackend"
	"github.com/splitvault/splitvault/pkg/jsonrpc"
)

const (
	version = `{"jsonrpc":"2.0","id":"splitvault-guard","result":"6.1.0"}`
	answer  = `{"jsonrpc":"2.0","id":"splitvault-guard","result":"0xf63c"}`
)

func request(t *testing.T) jsonrpc.Request {
	t.Helper()
	c := jsonrpc.ParseOne([]byte(`{"jsonrpc":"2.0","id":5,"method":"account_signData","params":["text/plain","0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F","0x00"]}`))
	if c.Err != nil {
		t.Fatal(c.Err)
	}
	return c.Request
}

// serveHTTP answers the probe, and then each request with what handle does.
func serveHTTP(t *testing.T, handle http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if strings.Contains(string(body), "account_version") || r.Method == http.MethodGet {
			if r.Method != http.MethodGet {
				io.WriteString(w, version)
			}
			return
		}
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		handle(w, r)
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func dial(t *testing.T, network, address string) (*clefbackend.Conn, error) {
	t.Helper()
	c, err := clefbackend.Dial(t.Context(), network, address)
	if err == nil {
		t.Cleanup(func() { c.Close() })
	}
	return c, err
}

// What Clef and its front ends are told of the caller cannot be taken for more.
func TestClefIsToldWhoAsks(t *testing.T) {
	t.Parallel()
	got := make(chan *http.Request, 1)
	address := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		got <- r
		io.WriteString(w, answer)
	})
	for _, row := range []struct {
		from          clefbackend.Caller
		agent, origin string
	}{
		{clefbackend.Caller{Qube: "work"}, "qube=work via splitvault", "qube:work"},
		{clefbackend.Caller{Qube: "work", Origin: "https://app.example.org", UserAgent: "node"}, "qube=work via splitvault; says node", "qube:work says https://app.example.org"},
		{
			clefbackend.Caller{Qube: "work", Origin: "https://[::1]\r\nX: y", UserAgent: "a%22,<b>\r\nOrigin: evil\u202e" + strings.Repeat("x", 100)},
			"qube=work via splitvault; says a_22,_b___Origin: evil___" + strings.Repeat("x", 35), "qube:work says https://_::1___X: y",
		},
		{ // who owns a page's name is told by its end
			clefbackend.Caller{Qube: "work", Origin: "https://app.bank.example." + strings.Repeat("a", 60) + ".evil.example:8443"},
			"qube=work via splitvault", "qube:work says ..." + strings.Repeat("a", 37) + ".evil.example:8443",
		},
	} {
		c, err := dial(t, "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.KeepAlive(); err != nil {
			t.Fatal(err)
		}
		reply, err := c.Call(t.Context(), request(t), row.from)
		if err != nil || reply.Result.Text() != "0xf63c" {
			t.Fatalf("%+v, %v", reply, err)
		}
		r := <-got
		body, _ := io.ReadAll(r.Body)
		if r.Header.Get("User-Agent") != row.agent || r.Header.Get("Origin") != row.origin || r.Host != "localhost" || r.Header.Get("X") != "" {
			t.Errorf("%q %q %q", r.Header.Get("User-Agent"), r.Header.Get("Origin"), r.Host)
		}
		if want := string(request(t).Append(nil, jsonrpc.TextID("splitvault-guard"))); string(body) != want {
			t.Errorf("Clef gets %s", body)
		}
		if len(row.agent) > 200 || len(row.origin) > 100 {
			t.Error("Clef's prompt would cut it")
		}
	}
}

func TestAnswersInAnyShapeOfHTTPAreRead(t *testing.T) {
	t.Parallel()
	long := `{"jsonrpc":"2.0","id":"splitvault-guard","result":"` + strings.Repeat("x", 200_000) + `"}`
	for name, handle := range map[string]http.HandlerFunc{
		"length": func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, answer) },
		"chunks": func(w http.ResponseWriter, _ *http.Request) {
			for _, part := range strings.SplitAfter(long, "xxxxxxxx") {
				io.WriteString(w, part)
			}
		},
		"until the end": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Transfer-Encoding", "identity")
			io.WriteString(w, answer)
		},
	} {
		c, err := dial(t, "tcp", serveHTTP(t, handle))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if reply, err := c.Call(t.Context(), request(t), clefbackend.Caller{Qube: "work"}); err != nil || reply.Err != nil {
			t.Errorf("%s: %v, %v", name, reply.Err, err)
		}
	}
}

// raw listens and says these bytes to the first request, and those to the second.
func raw(t *testing.T, first, second string) string {
	t.Helper()
	return accept(t, func(conn *net.TCPConn) {
		defer conn.Close()
		buffer := make([]byte, 64<<10)
		for _, says := range []string{first, second} {
			if _, err := conn.Read(buffer); err != nil {
				break
			}
			io.WriteString(conn, says)
		}
	})
}

// accept has serve called with one connection after the other, until the test ends.
func accept(t *testing.T, serve func(conn *net.TCPConn)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serve(conn.(*net.TCPConn))
		}
	}()
	return l.Addr().String()
}

func httpAnswer(body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

func TestWhatIsNotClefIsTold(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		says string
		want error
	}{
		"web page":      {httpAnswer("<html>"), clefbackend.ErrNotClef},
		"not HTTP":      {"SSH-2.0-OpenSSH_9.2\r\n\r\n", clefbackend.ErrNotClef},
		"forbidden":     {"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", clefbackend.ErrNotClef},
		"another error": {httpAnswer(`{"jsonrpc":"2.0","id":"splitvault-guard","error":{"code":-32601,"message":"x"}}`), clefbackend.ErrNotClef},
		"another id":    {httpAnswer(`{"jsonrpc":"2.0","id":1,"result":"6.1.0"}`), clefbackend.ErrNotClef},
		"no version":    {httpAnswer(`{"jsonrpc":"2.0","id":"splitvault-guard","result":{}}`), clefbackend.ErrNotClef},
		"our relay":     {httpAnswer(`{"jsonrpc":"2.0","id":"splitvault-guard","error":{"code":4900,"message":"loop"}}`), clefbackend.ErrLoop},
		"nothing":       {"", clefbackend.ErrDown},
		"endless line":  {"HTTP/1.1 200 " + strings.Repeat("x", 100_000), clefbackend.ErrNotClef},
		"endless head":  {"HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", 1000), clefbackend.ErrNotClef},
		"length":        {"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", clefbackend.ErrNotClef},
		"two lengths":   {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", clefbackend.ErrNotClef},
		"chunk":         {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n", clefbackend.ErrNotClef},
	} {
		if _, err := dial(t, "tcp", raw(t, row.says, "")); !errors.Is(err, row.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := dial(t, "unix", filepath.Join(t.TempDir(), "none")); !errors.Is(err, clefbackend.ErrDown) {
		t.Error(err)
	}
}

// An answer that is cut short is none.
func TestHalfAnAnswerIsNone(t *testing.T) {
	t.Parallel()
	for name, says := range map[string]string{
		"nothing": "", "half": "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + answer, "half until the end": "HTTP/1.1 200 OK\r\n\r\n" + answer[:30],
		"half a chunk": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"js", "too large": "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n",
		"another's": httpAnswer(`{"jsonrpc":"2.0","id":2,"result":"0x"}`),
	} {
		c, err := dial(t, "tcp", raw(t, httpAnswer(version), says))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if reply, err := c.Call(t.Context(), request(t), clefbackend.Caller{}); !errors.Is(err, clefbackend.ErrBroken) {
			t.Errorf("%s: %+v, %v", name, reply, err)
		}
	}
}

// Over the IPC socket Clef may think for minutes, and a client that goes ends it.
func TestTheIPCSocketHasNoBoundButTheClient(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "clef.ipc")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	got := make(chan string, 2)
	go func() {
		for range 2 {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			buffer := make([]byte, 64<<10)
			conn.Read(buffer)
			io.WriteString(conn, version+"\n")
			n, _ := conn.Read(buffer)
			got <- string(buffer[:n])
			if rest, _ := io.ReadAll(conn); len(rest) == 0 && strings.Contains(string(buffer[:n]), "signData") {
				time.Sleep(100 * time.Millisecond)
				io.WriteString(conn, answer+"\n")
			}
		}
	}()
	c, err := dial(t, "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.KeepAlive(); err != nil {
		t.Error(err)
	}
	reply, err := c.Call(t.Context(), request(t), clefbackend.Caller{Qube: "work"})
	if err != nil || reply.Result.Text() != "0xf63c" {
		t.Errorf("%+v, %v", reply, err)
	}
	if said := <-got; strings.Contains(said, "work") || !strings.HasSuffix(said, "}\n") {
		t.Errorf("Clef gets %q", said)
	}
	c, err = dial(t, "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	gone := errors.New("gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(50*time.Millisecond, func() { cancel(gone) })
	if _, err := c.Call(ctx, jsonrpc.Request{Method: "account_list"}, clefbackend.Caller{}); !errors.Is(err, gone) {
		t.Errorf("%v", err)
	}
}

// A Clef that has stopped, or a cable that is pulled, must not hold a guard whose
// person has answered already.
func TestAClefThatStopsAnsweringHoldsNobody(t *testing.T) {
	t.Parallel()
	c, err := dial(t, "tcp", accept(t, func(conn *net.TCPConn) {
		t.Cleanup(func() { conn.Close() })
		conn.Read(make([]byte, 64<<10))
		io.WriteString(conn, httpAnswer(version))
	}))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.KeepAlive() }()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("no error")
		}
	case <-time.After(20 * time.Second):
		t.Fatal("hangs")
	}
}

// A Clef that ends while it is asked is not up; it is no other program.
func TestAClefThatEndsIsDown(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*net.TCPConn){
		"reset": func(conn *net.TCPConn) {
			conn.Read(make([]byte, 64<<10))
			conn.SetLinger(0)
		},
		"half an answer": func(conn *net.TCPConn) {
			conn.Read(make([]byte, 64<<10))
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
		},
	} {
		address := accept(t, func(conn *net.TCPConn) {
			end(conn)
			conn.Close()
		})
		if _, err := dial(t, "tcp", address); !errors.Is(err, clefbackend.ErrDown) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
