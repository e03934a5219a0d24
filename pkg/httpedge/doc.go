// Package httpedge is a strict HTTP/1.1 server for one connection, and the checks
// that a request to a signer on localhost must pass before anything is done with
// it ([RFC 9112], [Fetch]).
//
// It stands where any web page can send something. So it understands only what
// JSON-RPC clients and browsers really send, and refuses the rest: a request with
// two readings is no request. In particular there is no obsolete line folding, no
// line end but CRLF, no second Content-Length or Host, no Transfer-Encoding beside
// a Content-Length or other than "chunked", no chunk extension and no trailer.
//
// The checks are made in this order: method, framing, Host, Origin,
// Sec-Fetch-Site, Content-Type; then the body is read (after a "100 Continue"
// where one is expected) and handed on. An answer can be read by a page only if its
// origin was allowed; a refused page gets no CORS header, and so learns nothing.
//
// [RFC 9112]: https://www.rfc-editor.org/rfc/rfc9112
// [Fetch]: https://fetch.spec.whatwg.org/
package httpedge

import (
	"fmt"
	"time"
)

// Limits of one request. Clef's own server takes a header of 1 MiB and the same
// body (go-ethereum v1.17.3, rpc/http.go).
const (
	MaxHead  = 16 << 10 // bytes of request line and header fields
	MaxBody  = 5 << 20  // bytes
	HeadTime = 10 * time.Second
	BodyTime = 30 * time.Second
	// IdleTime is how long a connection may be silent between requests, and
	// before the first: browsers open some that they never use.
	IdleTime = 120 * time.Second
	// WriteTime is for a client that does not read its answer.
	WriteTime = 30 * time.Second
)

const maxFields = 100

// Refusal is why a request is not served.
type Refusal struct {
	Status int    // of HTTP: 400, 403, 405, 413 or 415
	Text   string // for the client and the journal; holds nothing of the request
	Origin string // the origin, where that was refused; untrusted
}

func (r *Refusal) Error() string { return fmt.Sprintf("refusing a request (%d): %s", r.Status, r.Text) }

// body is the refusal as a JSON-RPC error, which clients of a signer show to people.
func (r *Refusal) body() []byte {
	return fmt.Appendf(nil, `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":%q}}`+"\n", r.Text)
}

func bad(text string) *Refusal { return &Refusal{Status: 400, Text: text} }

func forbidden(text string) *Refusal { return &Refusal{Status: 403, Text: text} }
