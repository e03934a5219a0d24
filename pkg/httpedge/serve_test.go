package httpedge

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

func isLocal(host string) bool {
	name, port, ok := strings.Cut(host, ":")
	return (name == "localhost" || name == "127.0.0.1") && (!ok || port == "8550")
}

// world is a server that answers each body with its own words, and the client's
// end of its connection.
type world struct {
	client  net.Conn
	in      *bufio.Reader
	server  *Server
	bodies  []string
	refused []string
	done    chan error
	cancel  context.CancelFunc
}

func serve(t *testing.T) *world {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	w := &world{client: client, in: bufio.NewReader(client), done: make(chan error, 1), cancel: cancel}
	w.server = &Server{
		Conn:   conn,
		Policy: &Policy{Host: isLocal, Origin: func(o string) bool { return o == "https://app.example.org" }},
		Handle: func(_ context.Context, p *Post) Answer {
			w.bodies = append(w.bodies, string(p.Body))
			return Answer{200, fmt.Appendf(nil, "%q", p.Origin+" "+p.UserAgent+" "+string(p.Body))}
		},
		Refused: func(r *Refusal) { w.refused = append(w.refused, r.Text) },
	}
	go func() { w.done <- w.server.Serve(ctx) }()
	t.Cleanup(func() { client.Close(); cancel() })
	if err := client.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return w
}

// say sends text and returns the next answer and its body.
func (w *world) say(t *testing.T, text, method string) (*http.Response, string) {
	t.Helper()
	if _, err := io.WriteString(w.client, text); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(w.in, &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}

// end waits for the server to end by itself.
func (w *world) end(t *testing.T) {
	t.Helper()
	select {
	case err := <-w.done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the server does not end")
	}
}

func TestRequestsOnOneConnectionAreAnsweredInTheirOrder(t *testing.T) {
	t.Parallel()
	w := serve(t)
	one := post + "Content-Length: 3\r\n\r\n\"1\""
	two := post + "Transfer-Encoding: chunked\r\n\r\n3\r\n\"2\"\r\n0\r\n\r\n"
	three := post + "Connection: close\r\nContent-Length: 3\r\n\r\n\"3\""
	for i, text := range []string{one + two + three, "", ""} { // pipelined
		response, body := w.say(t, text, "POST")
		if want := fmt.Sprintf(`"  \"%d\""`, i+1); body != want || response.StatusCode != 200 {
			t.Errorf("answer %d: %d %s", i, response.StatusCode, body)
		}
		if response.Close != (i == 2) {
			t.Errorf("answer %d: close is %v", i, response.Close)
		}
	}
	w.end(t)
}

func TestAnExpectingClientIsToldToGoOn(t *testing.T) {
	t.Parallel()
	w := serve(t)
	head := post + "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"
	if _, err := io.WriteString(w.client, head); err != nil {
		t.Fatal(err)
	}
	line, err := w.in.ReadString('\n')
	if line != "HTTP/1.1 100 Continue\r\n" || err != nil {
		t.Fatalf("%q, %v", line, err)
	}
	if line, err = w.in.ReadString('\n'); line != "\r\n" || err != nil {
		t.Fatalf("%q, %v", line, err)
	}
	if _, body := w.say(t, "{}", "POST"); body != `"  {}"` {
		t.Error(body)
	}
	// Not before its head has passed.
	w = serve(t)
	response, _ := w.say(t, strings.Replace(head, "application/json", "text/plain", 1), "POST")
	if response.StatusCode != 415 {
		t.Errorf("status %d", response.StatusCode)
	}
	w.end(t)
}

func TestChecksOfTheEdge(t *testing.T) {
	t.Parallel()
	const app, json = "Origin: https://app.example.org\r\n", "Content-Type: application/json\r\n"
	request := func(method, target, host, fields string) string {
		return method + " " + target + " HTTP/1.1\r\n" + host + fields + "\r\n"
	}
	body := "Content-Length: 2\r\n"
	const local = "Host: localhost:8550\r\n"
	for _, tt := range []struct {
		name, text string
		status     int
	}{
		{"a native client", request("POST", "/", local, json+body), 200},
		{"any path, as with Clef", request("POST", "/rpc?x=1", local, json+body), 200},
		{"by number", request("POST", "/", "Host: 127.0.0.1\r\n", json+body), 200},
		{"in capitals", request("POST", "/", "Host: LocalHost\r\n", json+body), 200},
		{"an allowed page", request("POST", "/", local, app+"Sec-Fetch-Site: cross-site\r\n"+json+body), 200},
		{"Clef's other types", request("POST", "/", local, "Content-Type: Application/JSON-RPC; charset=utf-8\r\n"+body), 200},
		{"curl -d", request("POST", "/", local, "Content-Type: application/x-www-form-urlencoded\r\n"+body), 200},
		{"no type", request("POST", "/", local, body), 200},
		{"is it there", request("GET", "/", local, ""), 200},
		{"is it there, in the address bar", request("GET", "/", local, "Sec-Fetch-Site: none\r\n"), 200},
		{"the head alone", request("HEAD", "/", local, ""), 200},
		{"preflight", request("OPTIONS", "/", local, app+"Access-Control-Request-Method: POST\r\n"), 204},
		{"options of a native client", request("OPTIONS", "*", local, ""), 204},

		{"DNS rebinding", request("POST", "/", "Host: rebind.evil.example:8550\r\n", json+body), 403},
		{"another port", request("POST", "/", "Host: localhost:80\r\n", json+body), 403},
		{"an empty host", request("POST", "/", "Host:\r\n", json+body), 403},
		{"no host", request("POST", "/", "", json+body), 400},
		{"another page", request("POST", "/", local, "Origin: https://evil.example\r\n"+json+body), 403},
		{"the same host by http", request("POST", "/", local, "Origin: http://app.example.org\r\n"+json+body), 403},
		{"a longer name", request("POST", "/", local, "Origin: https://app.example.org.evil.example\r\n"+json+body), 403},
		{"another port of the page", request("POST", "/", local, "Origin: https://app.example.org:8443\r\n"+json+body), 403},
		{"its preflight", request("OPTIONS", "/", local, "Origin: https://evil.example\r\nAccess-Control-Request-Method: POST\r\n"), 403},
		{"a form of any page", request("POST", "/", local, "Origin: null\r\nSec-Fetch-Site: cross-site\r\nContent-Type: text/plain\r\n"+body), 403},
		{"an empty origin", request("POST", "/", local, "Origin:\r\n"+json+body), 403},
		{"two origins", request("POST", "/", local, app+app+json+body), 403},
		{"two origins in one", request("POST", "/", local, "Origin: https://app.example.org https://evil.example\r\n"+json+body), 403},
		{"an image", request("GET", "/", local, "Sec-Fetch-Site: cross-site\r\n"), 403},
		{"a page's beacon without origin", request("POST", "/", local, "Sec-Fetch-Site: same-site\r\n"+json+body), 403},
		{"text/plain", request("POST", "/", local, "Content-Type: text/plain\r\n"+body), 415},
		{"an upload", request("POST", "/", local, "Content-Type: multipart/form-data; boundary=x\r\n"+body), 415},
		{"an empty type", request("POST", "/", local, "Content-Type:\r\n"+body), 415},
		{"a form of an allowed page", request("POST", "/", local, app+"Content-Type: application/x-www-form-urlencoded\r\n"+body), 415},
		{"a form with a cookie", request("POST", "/", local, "Cookie: a=b\r\nContent-Type: application/x-www-form-urlencoded\r\n"+body), 415},
		{"no type with a referer", request("POST", "/", local, "Referer: https://evil.example/\r\n"+body), 415},
		{"GET with a body", request("GET", "/", local, body), 400},
		{"OPTIONS with a body", request("OPTIONS", "/", local, json+body), 400},
		{"GET elsewhere", request("GET", "/secret", local, ""), 405},
		{"PUT", request("PUT", "/", local, json+body), 405},
		{"an unknown method", request("PROPFIND", "/", local, ""), 405},
		{"CONNECT", request("CONNECT", "evil.example:443", local, ""), 405},
		{"a proxy's request", request("POST", "http://localhost:8550/", local, json+body), 400},
		{"WebSocket", request("GET", "/", local, "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"+app), 400},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := serve(t)
			method, _, _ := strings.Cut(tt.text, " ")
			response, answer := w.say(t, tt.text+"{}", method)
			if response.StatusCode != tt.status {
				t.Fatalf("status %d, want %d: %s", response.StatusCode, tt.status, answer)
			}
			if response.Header.Get("X-Content-Type-Options") != "nosniff" || response.Header.Get("Cache-Control") != "no-store" || response.Header.Get("Vary") != "Origin" {
				t.Errorf("fields %v", response.Header)
			}
			if tt.status >= 300 {
				w.isRefused(t, response, answer)
				return
			}
			want := ""
			if strings.Contains(tt.text, app) {
				want = "https://app.example.org"
			}
			if got := response.Header.Get("Access-Control-Allow-Origin"); got != want {
				t.Errorf("Access-Control-Allow-Origin: %q, want %q", got, want)
			}
		})
	}
}

// isRefused: nothing of it was handled, nothing can be read by a page, and the
// connection ends.
func (w *world) isRefused(t *testing.T, response *http.Response, answer string) {
	t.Helper()
	for name := range response.Header {
		if strings.HasPrefix(name, "Access-Control-") {
			t.Errorf("%s in a refusal", name)
		}
	}
	if !response.Close || !strings.HasPrefix(answer, `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"`) {
		t.Errorf("close %v, %s", response.Close, answer)
	}
	if (response.StatusCode == 405) != (response.Header.Get("Allow") != "") {
		t.Errorf("Allow: %q", response.Header.Get("Allow"))
	}
	if rest, err := io.ReadAll(w.in); len(rest) > 0 || err != nil {
		t.Errorf("after it: %q, %v", rest, err)
	}
	w.client.Close()
	w.end(t)
	if len(w.bodies) > 0 || len(w.refused) != 1 {
		t.Errorf("handled %q, refused %q", w.bodies, w.refused)
	}
}

func TestAPreflightSaysWhatAPageMayDo(t *testing.T) {
	t.Parallel()
	w := serve(t)
	ask := "OPTIONS / HTTP/1.1\r\nHost: localhost\r\nOrigin: https://app.example.org\r\nAccess-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type\r\n"
	for private, text := range map[string]string{"": ask + "\r\n", "true": ask + "Access-Control-Request-Private-Network: true\r\n\r\n"} {
		response, body := w.say(t, text, "OPTIONS")
		for name, want := range map[string]string{
			"Access-Control-Allow-Origin":          "https://app.example.org",
			"Access-Control-Allow-Methods":         "POST",
			"Access-Control-Allow-Headers":         "content-type",
			"Access-Control-Allow-Private-Network": private,
			"Access-Control-Allow-Credentials":     "",
		} {
			if got := response.Header.Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		if body != "" {
			t.Errorf("a body: %q", body)
		}
	}
}

func TestAnAnswerToHeadHasNoBody(t *testing.T) {
	t.Parallel()
	w := serve(t)
	text := "HEAD /x HTTP/1.1\r\nHost: localhost\r\n\r\n"
	if response, body := w.say(t, text, "HEAD"); response.StatusCode != 405 || body != "" {
		t.Errorf("%d %q", response.StatusCode, body)
	}
	if rest, _ := io.ReadAll(w.in); len(rest) != 0 {
		t.Errorf("%q follows", rest)
	}
}

func TestServingEndsWithItsContext(t *testing.T) {
	t.Parallel()
	w := serve(t)
	w.cancel()
	w.end(t)
}

func TestServingEndsWithTheClient(t *testing.T) {
	t.Parallel()
	w := serve(t)
	w.client.Close()
	w.end(t)
}
