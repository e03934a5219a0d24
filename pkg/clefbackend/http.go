package clefbackend

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/splitvault/splitvault/pkg/clefcall"
	"github.com/splitvault/splitvault/pkg/jsonrpc"
)

const (
	// maxHead bounds a line of an answer's head, maxLines their number.
	maxHead  = 8 << 10
	maxLines = 100
	// Clef's own prompt cuts an Origin at 100 bytes, and a User-Agent at 200.
	maxSaid = 58
)

var errHTTP = errors.New("not an answer of HTTP")

// post is one request over HTTP. Its head is made of nothing but letters that
// clefcall.Clean leaves, so that no front end of Clef takes them for something else.
func (c *Conn) post(body []byte, from Caller, last bool) ([]byte, error) {
	var head bytes.Buffer
	// The name that Clef takes for itself, wherever it is reached.
	fmt.Fprintf(&head, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept-Encoding: identity\r\nContent-Length: %d\r\n", len(body))
	fmt.Fprintf(&head, "User-Agent: %s\r\n", from.userAgent())
	if from.Qube != "" {
		fmt.Fprintf(&head, "Origin: %s\r\n", from.origin())
	}
	if last {
		head.WriteString("Connection: close\r\n")
	}
	head.WriteString("\r\n")
	if _, err := c.conn.Write(append(head.Bytes(), body...)); err != nil {
		return nil, err
	}
	status, untrusted, err := c.answer()
	if err != nil {
		return nil, err
	}
	if status != 200 {
		return nil, fmt.Errorf("HTTP %d: %.100q", status, untrusted)
	}
	return untrusted, nil
}

func (f Caller) userAgent() string {
	if f.Qube == "" {
		return "splitvault"
	}
	agent := "qube=" + clefcall.Clean(f.Qube, 31) + " via splitvault"
	if f.UserAgent != "" {
		agent += "; says " + clefcall.Clean(f.UserAgent, clefcall.MaxUserAgent)
	}
	return agent
}

func (f Caller) origin() string {
	claim := "qube:" + clefcall.Clean(f.Qube, 31)
	if f.Origin != "" {
		claim += " says " + ending(f.Origin)
	}
	return claim
}

// ending leaves of an origin that is too long its end, which says whose name it is:
// its beginning could be that of any other.
func ending(untrusted string) string {
	const cut = "..."
	if len(untrusted) > maxSaid {
		untrusted = cut + untrusted[len(untrusted)-maxSaid+len(cut):]
	}
	return clefcall.Clean(untrusted, maxSaid)
}

// KeepAlive makes Clef's HTTP server wait longer for the request. A server that does
// not answer in a moment is an error: it would hold what waits for this.
func (c *Conn) KeepAlive() error {
	if c.http == nil {
		return nil
	}
	defer c.until(context.Background(), probeTime)()
	_, err := io.WriteString(c.conn, "GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: splitvault\r\n\r\n")
	if err != nil {
		return fmt.Errorf("keeping the connection to Clef: %w", err)
	}
	if _, _, err = c.answer(); err != nil {
		return fmt.Errorf("keeping the connection to Clef: %w", err)
	}
	return nil
}

// answer reads one answer, of at most [jsonrpc.MaxReply] bytes.
func (c *Conn) answer() (status int, untrusted []byte, err error) {
	line, err := headLine(c.http)
	if err != nil {
		return 0, nil, err
	}
	version, rest, _ := strings.Cut(line, " ")
	code, _, _ := strings.Cut(rest, " ")
	status, err = strconv.Atoi(code)
	if err != nil || version != "HTTP/1.1" && version != "HTTP/1.0" || status < 200 || status > 599 {
		return 0, nil, fmt.Errorf("%w: it begins %.40q", errHTTP, line)
	}
	length, chunked, err := readHead(c.http)
	if err != nil {
		return 0, nil, err
	}
	switch {
	case chunked:
		untrusted, err = readChunks(c.http)
	case length >= 0:
		untrusted = make([]byte, length)
		_, err = io.ReadFull(c.http, untrusted)
	default: // until the end of the connection; a reply that is cut short is no JSON
		untrusted, err = io.ReadAll(io.LimitReader(c.http, jsonrpc.MaxReply+1))
	}
	if err == nil && len(untrusted) > jsonrpc.MaxReply {
		err = fmt.Errorf("%w: over %d bytes", errHTTP, jsonrpc.MaxReply)
	}
	return status, untrusted, err
}

// headLine reads a line that fits into the reader's buffer.
func headLine(r *bufio.Reader) (string, error) {
	line, err := r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return "", fmt.Errorf("%w: a line of over %d bytes", errHTTP, maxHead)
	}
	if err != nil {
		return "", err
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r"), nil
}

// readHead reads the fields up to the empty line. length is -1 if it is not told.
func readHead(r *bufio.Reader) (length int, chunked bool, err error) {
	length = -1
	for range maxLines {
		line, err := headLine(r)
		if err != nil {
			return 0, false, err
		}
		if line == "" {
			return length, chunked, nil
		}
		name, value, _ := strings.Cut(line, ":")
		switch value = strings.TrimSpace(value); strings.ToLower(name) {
		case "content-length":
			n, err := strconv.ParseUint(value, 10, 31)
			if err != nil || n > jsonrpc.MaxReply || length >= 0 && uint64(length) != n {
				return 0, false, fmt.Errorf("%w: its length is %.40q", errHTTP, value)
			}
			length = int(n)
		case "transfer-encoding":
			chunked = strings.EqualFold(value, "chunked")
		}
	}
	return 0, false, fmt.Errorf("%w: over %d lines of head", errHTTP, maxLines)
}

// readChunks reads the body of RFC 9112, section 7.1.
func readChunks(r *bufio.Reader) ([]byte, error) {
	var body []byte
	for {
		line, err := headLine(r)
		if err != nil {
			return nil, err
		}
		digits, _, _ := strings.Cut(line, ";")
		n, err := strconv.ParseUint(strings.TrimSpace(digits), 16, 31)
		if err != nil || len(body)+int(n) > jsonrpc.MaxReply {
			return nil, fmt.Errorf("%w: a chunk of %.40q bytes", errHTTP, digits)
		}
		if n == 0 {
			_, _, err := readHead(r)
			return body, err
		}
		begin := len(body)
		body = append(body, make([]byte, n)...)
		if _, err := io.ReadFull(r, body[begin:]); err != nil {
			return nil, err
		}
		if line, err := headLine(r); err != nil || line != "" {
			return nil, fmt.Errorf("%w: a chunk that does not end", errHTTP)
		}
	}
}
