package httpedge

import (
	"fmt"
	"net/textproto"
	"strconv"
	"strings"
	"time"
)

// response is an answer before it is written.
type response struct {
	status int
	origin string // whom CORS lets read it; "" for nobody
	fields []Field
	body   []byte // JSON
	close  bool
	minor  int // version of the request
}

// bytes encodes a response. A HEAD request gets only its head.
func (r *response) bytes(headOnly bool) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", r.status, reason(r.status))
	put := func(name, value string) { fmt.Fprintf(&b, "%s: %s\r\n", name, value) }
	put("Date", time.Now().UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT"))
	put("X-Content-Type-Options", "nosniff")
	put("Cache-Control", "no-store")
	put("Vary", "Origin")
	if r.origin != "" {
		put("Access-Control-Allow-Origin", r.origin)
	}
	for _, f := range r.fields {
		put(textproto.CanonicalMIMEHeaderKey(f.Name), f.Value)
	}
	if len(r.body) > 0 {
		put("Content-Type", "application/json")
	}
	if r.status != 204 {
		put("Content-Length", strconv.Itoa(len(r.body)))
	}
	switch {
	case r.close:
		put("Connection", "close")
	case r.minor == 0:
		put("Connection", "keep-alive")
	}
	b.WriteString("\r\n")
	if !headOnly {
		b.Write(r.body)
	}
	return []byte(b.String())
}

func reason(status int) string {
	switch status {
	case 200:
		return "OK"
	case 204:
		return "No Content"
	case 400:
		return "Bad Request"
	case 403:
		return "Forbidden"
	case 405:
		return "Method Not Allowed"
	case 413:
		return "Content Too Large"
	case 415:
		return "Unsupported Media Type"
	}
	return "Error"
}

// preflight answers OPTIONS. Only a page of an allowed origin learns more than
// the methods: that it may POST JSON. Chrome asked for private networks before
// version 142; it asks the person now.
func preflight(h *Head, origin string) *response {
	r := &response{status: 204, origin: origin, minor: h.Minor, fields: []Field{{"allow", allowed}}}
	if origin == "" {
		return r
	}
	r.fields = append(r.fields,
		Field{"access-control-allow-methods", "POST"},
		Field{"access-control-allow-headers", "content-type"},
		Field{"access-control-max-age", "600"},
	)
	if wants, _ := h.Get("access-control-request-private-network"); wants == "true" {
		r.fields = append(r.fields, Field{"access-control-allow-private-network", "true"})
	}
	return r
}

const allowed = "POST, OPTIONS, GET, HEAD"
