package clefbackend

import (
	"bufio"
	"bytes"
	"net/http"
	"testing"

	"github.com/splitvault/splitvault/pkg/jsonrpc"
)

// What is read as an answer net/http reads as one, too, with the same status.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
		"HTTP/1.0 403 No\n\nuntil the end", "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n{}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c := &Conn{http: bufio.NewReaderSize(bytes.NewReader(text), maxHead)}
		status, body, err := c.answer()
		if err != nil {
			return
		}
		if len(body) > jsonrpc.MaxReply || len(body) > len(text) || status < 200 || status > 599 {
			t.Fatalf("%d, %d bytes of %d", status, len(body), len(text))
		}
		theirs, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(text)), nil)
		if err != nil {
			return // net/http wants more of the head, which is not looked at here
		}
		theirs.Body.Close()
		if theirs.StatusCode != status {
			t.Fatalf("status %d, net/http has %d", status, theirs.StatusCode)
		}
	})
}
