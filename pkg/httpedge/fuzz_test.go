package httpedge

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// What this reader takes, Go's own server reads in the same way: the same method,
// target, fields and body, and the same bytes left for the next request.
func FuzzRequest(f *testing.F) {
	f.Add([]byte(post + "Content-Length: 2\r\n\r\n{}GET / HTTP/1.1\r\n"))
	f.Add([]byte(post + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\nrest"))
	f.Add([]byte("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"))
	f.Add([]byte("OPTIONS * HTTP/1.1\r\nHost: [::1]:8550\r\nOrigin: null\r\n\r\n"))
	for _, text := range smuggling() {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, untrusted []byte) {
		in := bytes.NewReader(untrusted)
		reader := NewReader(in, noDeadline)
		head, err := reader.Head()
		if err != nil {
			return
		}
		body, err := reader.Body(head)
		if err != nil {
			return
		}
		left := in.Len() + reader.in.Buffered()
		compare(t, untrusted, head, body, left)
		again, body2, err := readAll(bytes.NewReader(encode(head, body)))
		if err != nil || !bytes.Equal(body, body2) || fmt.Sprint(*again) != fmt.Sprint(*head) {
			t.Errorf("encoded and read again: %+v, %v, want %+v", again, err, head)
		}
	})
}

func compare(t *testing.T, untrusted []byte, head *Head, body []byte, left int) {
	t.Helper()
	in := bytes.NewReader(untrusted)
	theirs := bufio.NewReader(in)
	request, err := http.ReadRequest(theirs)
	if err != nil {
		// Go looks into the URL, into names of hosts and at CONNECT, which
		// nothing here is to get past: such a target is not served.
		if policy := (&Policy{Host: isLocal, Origin: func(string) bool { return true }}); strings.HasPrefix(head.Target, "/") {
			if _, refusal := policy.Check(head); refusal == nil && !strings.Contains(err.Error(), "parse ") {
				t.Errorf("we read %+v, Go does not: %v", head, err)
			}
		}
		return
	}
	if request.Method != head.Method || request.RequestURI != head.Target || request.ProtoMinor != head.Minor {
		t.Errorf("request line: %q %q %d, Go has %q %q %d", head.Method, head.Target, head.Minor, request.Method, request.RequestURI, request.ProtoMinor)
	}
	theirBody, err := io.ReadAll(request.Body)
	if err != nil || !bytes.Equal(theirBody, body) {
		t.Errorf("body %q, Go has %q, %v", body, theirBody, err)
	}
	if theirLeft := in.Len() + theirs.Buffered(); theirLeft != left {
		t.Errorf("%d bytes left, Go leaves %d", left, theirLeft)
	}
	compareFields(t, head, request)
}

func compareFields(t *testing.T, head *Head, request *http.Request) {
	t.Helper()
	ours := http.Header{}
	for _, f := range head.Fields {
		ours.Add(f.Name, f.Value)
	}
	// Go moves these to members of the request.
	if host, count := head.Get("host"); count > 0 && strings.HasPrefix(head.Target, "/") && request.Host != host {
		t.Errorf("host %q, Go has %q", host, request.Host)
	}
	for _, moved := range []string{"Host", "Transfer-Encoding", "Content-Length", "Trailer", "Connection", "Pragma", "Cache-Control"} {
		ours.Del(moved)
		request.Header.Del(moved)
	}
	if fmt.Sprint(ours) != fmt.Sprint(request.Header) {
		t.Errorf("fields %v, Go has %v", ours, request.Header)
	}
}

// encode writes a request as this package reads it.
func encode(h *Head, body []byte) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.%d\r\n", h.Method, h.Target, h.Minor)
	for _, f := range h.Fields {
		fmt.Fprintf(&b, "%s: %s\r\n", f.Name, f.Value)
	}
	b.WriteString("\r\n")
	if !h.Chunked {
		b.Write(body)
		return b.Bytes()
	}
	if len(body) > 0 {
		fmt.Fprintf(&b, "%x\r\n%s\r\n", len(body), body)
	}
	b.WriteString("0\r\n\r\n")
	return b.Bytes()
}
