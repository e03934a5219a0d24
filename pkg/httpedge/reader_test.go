package httpedge

import (
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

func noDeadline(time.Time) error { return nil }

// readAll reads one request.
func readAll(in io.Reader) (*Head, []byte, error) {
	reader := NewReader(in, noDeadline)
	head, err := reader.Head()
	if err != nil {
		return nil, nil, err
	}
	body, err := reader.Body(head)
	return head, body, err
}

const post = "POST / HTTP/1.1\r\nHost: localhost:8550\r\nContent-Type: application/json\r\n"

func TestRequestsOfRealClientsAreRead(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, text, body string
		keep, wait       bool
	}{
		{"curl", post + "User-Agent: curl/7.88.1\r\nAccept: */*\r\nContent-Length: 2\r\n\r\n{}", "{}", true, false},
		{"curl, over 1 MB", post + "Content-Length: 2\r\nExpect: 100-continue\r\n\r\n{}", "{}", true, true},
		{"chunked", post + "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n00001\r\n}\r\n0\r\n\r\n", "{}", true, false},
		{"python-urllib", post + "Content-Length: 2\r\nConnection: close\r\n\r\n{}", "{}", false, false},
		{"HTTP/1.0", "POST / HTTP/1.0\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}", "{}", false, false},
		{"HTTP/1.0 that stays", "POST / HTTP/1.0\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\n{}", "{}", true, false},
		{"HTTP/1.0 waits for nothing", "POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}", "{}", false, false},
		{"a name in UTF-8", post + "User-Agent: \xc3\xa9\r\nContent-Length: 0\r\n\r\n", "", true, false},
		{"no body", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "", true, false},
		{"options of the connection", post + "Content-Length: 2\r\nConnection: foo , CLOSE\r\n\r\n{}", "{}", false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for how, in := range map[string]io.Reader{
				"whole":               strings.NewReader(tt.text),
				"one byte at a time":  iotest.OneByteReader(strings.NewReader(tt.text)),
				"with end and data":   iotest.DataErrReader(strings.NewReader(tt.text)),
				"half of what is got": iotest.HalfReader(strings.NewReader(tt.text)),
			} {
				head, body, err := readAll(in)
				if err != nil {
					t.Fatalf("%s: %v", how, err)
				}
				if string(body) != tt.body || head.KeepAlive != tt.keep || head.Continue != tt.wait {
					t.Errorf("%s: body %q, keep-alive %v, expects %v", how, body, head.KeepAlive, head.Continue)
				}
			}
		})
	}
}

// smuggling is what one server takes for one request and another for two, or for
// another one.
func smuggling() map[string]string {
	return map[string]string{
		"both lengths":                        post + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"both lengths, the other way round":   post + "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
		"two lengths":                         post + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
		"the same length twice":               post + "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
		"a list of lengths":                   post + "Content-Length: 2, 2\r\n\r\n{}",
		"a length with a sign":                post + "Content-Length: +2\r\n\r\n{}",
		"a negative length":                   post + "Content-Length: -1\r\n\r\n{}",
		"a length with a leading zero":        post + "Content-Length: 02\r\n\r\n{}",
		"a hexadecimal length":                post + "Content-Length: 0x2\r\n\r\n{}",
		"a length beyond 64 bits":             post + "Content-Length: 18446744073709551618\r\n\r\n{}",
		"no length":                           post + "Content-Length:\r\n\r\n{}",
		"a second coding":                     post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		"chunked twice":                       post + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
		"two fields of coding":                post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
		"an unknown coding":                   post + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
		"a coding in quotes":                  post + "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
		"a coding after a vertical tab":       post + "Transfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n",
		"chunked in HTTP/1.0":                 "POST / HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"a blank before the colon":            post + "Content-Length : 2\r\n\r\n{}",
		"a folded line":                       post + "X: a\r\n Content-Length: 2\r\n\r\n{}",
		"a folded line with a tab":            post + "X: a\r\n\tb\r\nContent-Length: 2\r\n\r\n{}",
		"a bare line feed":                    post + "X: a\nContent-Length: 2\r\n\r\n{}",
		"a bare line feed at the end":         post + "Content-Length: 2\r\n\n{}",
		"only line feeds":                     "POST / HTTP/1.1\nHost: localhost\nContent-Length: 2\n\n{}",
		"a bare carriage return":              post + "X: a\rContent-Length: 9\r\nContent-Length: 2\r\n\r\n{}",
		"a NUL":                               post + "X: a\x00b\r\nContent-Length: 2\r\n\r\n{}",
		"an escape sequence":                  post + "User-Agent: \x1b[31m\r\nContent-Length: 2\r\n\r\n{}",
		"a field without a name":              post + ": a\r\nContent-Length: 2\r\n\r\n{}",
		"a line without a colon":              post + "Content-Length\r\n\r\n{}",
		"a name that is no token":             post + "Content-Length\xc2\xa0: 2\r\n\r\n{}",
		"two hosts":                           "POST / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nContent-Length: 2\r\n\r\n{}",
		"two types":                           post + "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}",
		"a chunk extension":                   post + "Transfer-Encoding: chunked\r\n\r\n2;a=b\r\n{}\r\n0\r\n\r\n",
		"a chunk extension with a line feed":  post + "Transfer-Encoding: chunked\r\n\r\n2;\nxx\r\n{}\r\n0\r\n\r\n",
		"a blank in a chunk size":             post + "Transfer-Encoding: chunked\r\n\r\n2 \r\n{}\r\n0\r\n\r\n",
		"a chunk size with 0x":                post + "Transfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n",
		"a chunk size that comes round":       post + "Transfer-Encoding: chunked\r\n\r\n100000002\r\n{}\r\n0\r\n\r\n",
		"a chunk size with a line feed":       post + "Transfer-Encoding: chunked\r\n\r\n2\n{}\r\n0\r\n\r\n",
		"an empty chunk size":                 post + "Transfer-Encoding: chunked\r\n\r\n\r\n{}\r\n0\r\n\r\n",
		"a chunk longer than it says":         post + "Transfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n",
		"a trailer":                           post + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nContent-Length: 5\r\n\r\n",
		"another protocol":                    post + "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\n{}",
		"another protocol, half said":         post + "Upgrade: h2c\r\nContent-Length: 2\r\n\r\n{}",
		"HTTP/2 without asking":               "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"HTTP/0.9":                            "GET /\r\n",
		"HTTP/1.2":                            "GET / HTTP/1.2\r\nHost: localhost\r\n\r\n",
		"a version in lower case":             "GET / http/1.1\r\nHost: localhost\r\n\r\n",
		"two blanks in the request line":      "GET  / HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"a tab in the request line":           "GET\t/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"a blank in the target":               "GET / x HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"UTF-8 in the target":                 "GET /\xc3\xa9 HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"an empty line first":                 "\r\nGET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"TLS":                                 "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n",
		"an expectation that nobody can meet": post + "Expect: 200-ok\r\nContent-Length: 2\r\n\r\n{}",
		"a header field of 17 KiB":            post + "X: " + strings.Repeat("a", 17<<10) + "\r\nContent-Length: 2\r\n\r\n{}",
		"a request line of 17 KiB":            "GET /" + strings.Repeat("a", 17<<10) + " HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"a thousand header fields":            post + strings.Repeat("A: b\r\n", 1000) + "Content-Length: 2\r\n\r\n{}",
	}
}

func TestWhatHasTwoReadingsIsRefused(t *testing.T) {
	t.Parallel()
	for name, text := range smuggling() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// Anything may follow.
			for _, in := range []io.Reader{strings.NewReader(text + text), iotest.OneByteReader(strings.NewReader(text))} {
				head, body, err := readAll(in)
				refusal, ok := errors.AsType[*Refusal](err)
				if !ok || refusal.Status != 400 && refusal.Status != 413 {
					t.Errorf("got %+v, body %q, %v", head, body, err)
				}
			}
		})
	}
}

func TestBodiesAreBounded(t *testing.T) {
	t.Parallel()
	endless := io.MultiReader(strings.NewReader(post+"Transfer-Encoding: chunked\r\n\r\n"), &repeat{"10000\r\n" + strings.Repeat("a", 0x10000) + "\r\n", 0})
	for name, in := range map[string]io.Reader{
		"announced":     strings.NewReader(post + "Content-Length: 5242881\r\n\r\n"),
		"one chunk":     strings.NewReader(post + "Transfer-Encoding: chunked\r\n\r\n500001\r\n"),
		"endless chunk": endless,
	} {
		if _, _, err := readAll(in); !isStatus(err, 413) {
			t.Errorf("%s: %v", name, err)
		}
	}
	largest := strings.Repeat("a", MaxBody)
	_, body, err := readAll(strings.NewReader(post + "Content-Length: 5242880\r\n\r\n" + largest))
	if err != nil || string(body) != largest {
		t.Errorf("of 5 MiB: %d bytes, %v", len(body), err)
	}
}

func isStatus(err error, status int) bool {
	refusal, ok := errors.AsType[*Refusal](err)
	return ok && refusal.Status == status
}

// repeat is the same text for ever.
type repeat struct {
	text string
	at   int
}

func (r *repeat) Read(p []byte) (int, error) {
	n := copy(p, r.text[r.at:])
	r.at = (r.at + n) % len(r.text)
	return n, nil
}

func TestARequestThatEndsTooSoonIsNone(t *testing.T) {
	t.Parallel()
	text := post + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
	for i := range len(text) {
		_, _, err := readAll(strings.NewReader(text[:i]))
		if i == 0 && !errors.Is(err, io.EOF) || i > 0 && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("after %d bytes: %v", i, err)
		}
	}
}

// The slow loris: a byte now and then, so that no read ever times out.
func TestASlowRequestIsGivenUp(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		text string
		want time.Duration
	}{
		"in the header": {post + "X: " + strings.Repeat("a", 1000), HeadTime},
		"in the body":   {post + "Content-Length: 2000\r\n\r\n" + strings.Repeat("a", 1000), BodyTime},
		"in a chunk":    {post + "Transfer-Encoding: chunked\r\n\r\n1000\r\n" + strings.Repeat("a", 1000), BodyTime},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ours, theirs := net.Pipe()
				var sender sync.WaitGroup
				defer sender.Wait()
				defer ours.Close()
				sender.Go(func() {
					defer theirs.Close()
					fast := len(tt.text) - 1000
					if _, err := io.WriteString(theirs, tt.text[:fast]); err != nil {
						return
					}
					for i := range 1000 {
						time.Sleep(time.Second)
						if _, err := io.WriteString(theirs, tt.text[fast+i:fast+i+1]); err != nil {
							return
						}
					}
				})
				reader := NewReader(ours, ours.SetReadDeadline)
				start := time.Now()
				head, err := reader.Head()
				if err == nil {
					_, err = reader.Body(head)
				}
				if took := time.Since(start); took != tt.want || !isStatus(err, 400) {
					t.Errorf("after %v: %v", took, err)
				}
			})
		})
	}
}

func TestAConnectionThatSaysNothingIsIdle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer ours.Close()
		defer theirs.Close()
		start := time.Now()
		_, err := NewReader(ours, ours.SetReadDeadline).Head()
		if !errors.Is(err, ErrIdle) || time.Since(start) != IdleTime {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}
