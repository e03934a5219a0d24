package clefrelay

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/splitvault/splitvault/pkg/clefcall"
	"github.com/splitvault/splitvault/pkg/jsonrpc"
)

// crossed is a request that a relay would have sent to the vault.
type crossed struct{ origin, method, params string }

// Ten thousand requests, each some steps away from one that is served or from an
// attack: what crosses is what Go's own server and decoder read in the same bytes
// too, from a host, a page and of a type that are allowed.
func TestMutatedRequestsOnlyCrossAsWhatTheyAre(t *testing.T) {
	t.Parallel()
	const n = 10_000
	var mu sync.Mutex
	var all []crossed
	served, naive := 0, 0
	v := newVault(t, "exit 1")
	v.relay.Config.Join = nil
	v.relay.Report.Notify = nil
	v.relay.Report.Log.(interface{ SetOutput(io.Writer) }).SetOutput(io.Discard)
	v.relay.Call = func(_ context.Context, r jsonrpc.Request, preamble func() clefcall.Preamble) (jsonrpc.Reply, error) {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, crossed{string(preamble().Origin), r.Method, string(r.AppendParams(nil))})
		return jsonrpc.ParseReply([]byte(`{"jsonrpc":"2.0","id":1,"result":1}`))
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	random := rand.New(rand.NewPCG(1, 2))
	for range n {
		text := mutate(random, strings.ReplaceAll(seeds()[random.IntN(len(seeds()))], "8550", port))
		all = nil
		v.exchange(t, listener, text)
		for _, c := range all {
			served++
			if !readable(text, c, port) {
				t.Errorf("crossed: %+v, of\n%q", c, text)
			}
		}
		if r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text))); err == nil && r.Method == "POST" {
			naive++
		}
	}
	t.Logf("%d of %d crossed; a server that looks at nothing would have taken %d", served, n, naive)
	if served < n/50 || naive < n/4 {
		t.Error("too few of them are requests at all")
	}
}

// exchange sends bytes over a connection of their own, and waits for its end.
func (v *vault) exchange(t *testing.T, listener net.Listener, text string) {
	t.Helper()
	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = v.relay.ServeHTTP(t.Context(), conn.(*net.TCPConn), func(o string) bool { return o == "https://app.example.org" })
	}()
	if _, err := io.WriteString(client, text); err == nil {
		_ = client.(*net.TCPConn).CloseWrite()
		_ = client.SetReadDeadline(time.Now().Add(20 * time.Second))
		_, _ = io.Copy(io.Discard, client)
	}
	client.Close()
	<-done
}

func seeds() []string {
	sign := request("1", "account_signData", `["text/plain","0x9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f","0x68656c6c6f"]`)
	return []string{
		httpPost("localhost:8550", "", sign),
		httpPost("localhost", "Origin: https://app.example.org\r\nSec-Fetch-Site: cross-site\r\n", sign),
		"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(sign), sign),
		httpPost("localhost", "", "["+sign+","+sign+"]"),
		httpPost("localhost", "Origin: null\r\n", sign),
		httpPost("localhost", "Origin: https://evil.example\r\nSec-Fetch-Site: cross-site\r\n", sign),
		httpPost("rebind.evil.example:8550", "", sign),
		httpPost("localhost", "Sec-Fetch-Site: cross-site\r\n", sign),
		strings.Replace(httpPost("localhost", "", sign), "application/json", "text/plain", 1),
		httpPost("localhost", "Transfer-Encoding: chunked\r\n", "0\r\n\r\n"+httpPost("localhost", "", sign)),
		httpPost("localhost", "Content-Length: 0\r\n", httpPost("localhost", "Origin: https://app.example.org\r\n", sign)),
	}
}

// pieces are what attacks are made of.
func pieces() []string {
	return []string{
		"\r\n", "\n", "\r", " ", "\t", "\x00", ":", "Host: evil.example\r\n", "Origin: null\r\n", "Origin: https://app.example.org\r\n", "Content-Length: 5\r\n",
		"Transfer-Encoding: chunked\r\n", "Transfer-Encoding:\x0bchunked\r\n", "Content-Type: text/plain\r\n", "Connection: close\r\n", "Expect: 100-continue\r\n",
		"0\r\n\r\n", `"METHOD":"account_new",`, `,"params":[]`, "POST / HTTP/1.1\r\n", "HTTP/1.0", "ſ", "\xff", "[", "]", "{", "}", "Cookie: a=b\r\n", "https://app.example.org.evil.example",
	}
}

func mutate(random *rand.Rand, text string) string {
	b := []byte(text)
	for range random.IntN(4) {
		at := random.IntN(len(b) + 1)
		piece := []byte(pieces()[random.IntN(len(pieces()))])
		switch random.IntN(5) {
		case 0: // put in
			b = append(b[:at:at], append(piece, b[at:]...)...)
		case 1: // put in the place of a line
			if end := bytes.IndexByte(b[at:], '\n'); end >= 0 {
				b = append(b[:at:at], append(piece, b[at+end+1:]...)...)
			}
		case 2: // a line twice
			if end := bytes.IndexByte(b[at:], '\n'); end >= 0 {
				line := bytes.Clone(b[at : at+end+1])
				b = append(b[:at:at], append(line, b[at:]...)...)
			}
		case 3: // cut
			if at < len(b) {
				b = append(b[:at], b[min(len(b), at+1+random.IntN(8)):]...)
			}
		default: // another bit
			if at < len(b) {
				b[at] ^= 1 << random.IntN(8)
			}
		}
	}
	return string(b)
}

// readable tells whether Go's own server finds in the text a request that may cross
// as c did.
func readable(text string, c crossed, port string) bool {
	in := bufio.NewReader(strings.NewReader(text))
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return false
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return false
		}
		host := strings.ToLower(r.Host)
		from := r.Header.Get("Origin")
		if (host == "localhost" || host == "localhost:"+port || host == "127.0.0.1") && from == c.origin && (from == "" || from == "https://app.example.org") &&
			(from != "" || r.Header.Get("Sec-Fetch-Site") == "" || r.Header.Get("Sec-Fetch-Site") == "none") &&
			!strings.HasPrefix(strings.ToLower(r.Header.Get("Content-Type")), "text/") && asks(body, c) {
			return true
		}
	}
}

// asks tells whether Go's lenient decoder reads the request, alone or in a batch.
func asks(body []byte, c crossed) bool {
	type message struct {
		Method string
		Params json.RawMessage
	}
	var batch []message
	if json.Unmarshal(body, &batch) != nil {
		batch = make([]message, 1)
		if json.Unmarshal(body, &batch[0]) != nil {
			return false
		}
	}
	for _, m := range batch {
		var compact bytes.Buffer
		if len(m.Params) == 0 || string(m.Params) == "null" {
			m.Params = json.RawMessage("[]")
		}
		if json.Compact(&compact, m.Params) == nil && m.Method == c.method && sameJSON(compact.Bytes(), []byte(c.params)) {
			return true
		}
	}
	return false
}

func sameJSON(a, b []byte) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && fmt.Sprint(x) == fmt.Sprint(y)
}
