package httpedge

import (
	"strings"
)

// Head is a request without its body, in a form that has one reading.
type Head struct {
	Method string // a token; not yet one that is served
	Target string // visible ASCII
	Minor  int    // HTTP/1.Minor, 0 or 1
	Fields []Field

	Length    int  // of the body in bytes, if not Chunked
	Chunked   bool // the body says its length itself
	KeepAlive bool // another request may follow
	Continue  bool // the client waits for "100 Continue" before it sends the body
}

// Field is one header field. The name is in lower case, the value without blanks
// at its ends.
type Field struct{ Name, Value string }

// Get returns the value of a field, and how many there are of that name.
func (h *Head) Get(name string) (value string, count int) {
	for _, f := range h.Fields {
		if f.Name != name {
			continue
		}
		if count++; count == 1 {
			value = f.Value
		}
	}
	return value, count
}

// Has tells whether there is such a field.
func (h *Head) Has(name string) bool {
	_, count := h.Get(name)
	return count > 0
}

// parseRequestLine reads METHOD SP TARGET SP HTTP/1.x (RFC 9112 §3), without the
// line's end.
func (h *Head) parseRequestLine(untrusted string) *Refusal {
	method, rest, ok := strings.Cut(untrusted, " ")
	target, version, ok2 := strings.Cut(rest, " ")
	if !ok || !ok2 || !isToken(method) || target == "" {
		return bad("no HTTP request line")
	}
	for i := range len(target) {
		if target[i] <= ' ' || target[i] > '~' {
			return bad("the request target has bytes that belong in no URL")
		}
	}
	switch version {
	case "HTTP/1.1":
		h.Minor = 1
	case "HTTP/1.0":
		h.Minor = 0
	default:
		return bad("neither HTTP/1.1 nor HTTP/1.0")
	}
	h.Method, h.Target = method, target
	return nil
}

// parseField reads one header field (RFC 9112 §5), without the line's end.
func parseField(untrusted string) (Field, *Refusal) {
	name, value, ok := strings.Cut(untrusted, ":")
	// A line that begins with a blank continues the one before, by a rule that
	// is obsolete: its blank is in no token.
	if !ok || !isToken(name) {
		return Field{}, bad("a line that is no header field")
	}
	value = strings.Trim(value, " \t")
	for i := range len(value) {
		if c := value[i]; c < ' ' && c != '\t' || c == 0x7f {
			return Field{}, bad("a control character in a header field")
		}
	}
	return Field{Name: strings.ToLower(name), Value: value}, nil
}

// single are the fields of which a second one has another reading.
func single() []string {
	return []string{
		"host", "content-length", "transfer-encoding", "content-type", "expect", "upgrade",
		"sec-fetch-site", "access-control-request-method",
	}
}

// frame finds where the request ends (RFC 9112 §6), and what the connection is to
// do then.
func (h *Head) frame() *Refusal {
	for _, name := range single() {
		if _, count := h.Get(name); count > 1 {
			return bad("a header field twice: " + name)
		}
	}
	if err := h.length(); err != nil {
		return err
	}
	if err := h.connection(); err != nil {
		return err
	}
	if expect, count := h.Get("expect"); count == 1 {
		if !strings.EqualFold(expect, "100-continue") {
			return bad("it expects something else than 100-continue")
		}
		h.Continue = h.Minor == 1
	}
	return nil
}

func (h *Head) length() *Refusal {
	length, lengths := h.Get("content-length")
	coding, codings := h.Get("transfer-encoding")
	switch {
	case lengths > 0 && codings > 0:
		return bad("both Content-Length and Transfer-Encoding")
	case codings > 0 && (h.Minor == 0 || !strings.EqualFold(coding, "chunked")):
		return bad("a Transfer-Encoding other than chunked, or in HTTP/1.0")
	case codings > 0:
		h.Chunked = true
	case lengths > 0:
		return h.parseLength(length)
	}
	return nil
}

func (h *Head) parseLength(untrusted string) *Refusal {
	if untrusted == "" || len(untrusted) > 1 && untrusted[0] == '0' {
		return bad("Content-Length is no number")
	}
	n := 0
	for i := range len(untrusted) {
		c := untrusted[i]
		if c < '0' || c > '9' {
			return bad("Content-Length is no number")
		}
		// Once too large it stays so, and must not come round.
		n = min(n*10+int(c-'0'), MaxBody+1)
	}
	if n > MaxBody {
		return tooLarge()
	}
	h.Length = n
	return nil
}

func tooLarge() *Refusal { return &Refusal{Status: 413, Text: "the body is larger than 5 MiB"} }

// connection reads the options of the Connection fields (RFC 9110 §7.6.1).
func (h *Head) connection() *Refusal {
	closing, keep := false, false
	for _, f := range h.Fields {
		if f.Name != "connection" {
			continue
		}
		for option := range strings.SplitSeq(f.Value, ",") {
			switch option = strings.Trim(option, " \t"); {
			case strings.EqualFold(option, "close"):
				closing = true
			case strings.EqualFold(option, "keep-alive"):
				keep = true
			case strings.EqualFold(option, "upgrade"):
				return bad("it wants another protocol on this connection")
			}
		}
	}
	if h.Has("upgrade") || h.Has("http2-settings") {
		return bad("it wants another protocol on this connection")
	}
	h.KeepAlive = !closing && (h.Minor == 1 || keep)
	return nil
}

// isToken tells whether s is a token (RFC 9110 §5.6.2).
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !('0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0) {
			return false
		}
	}
	return s != ""
}
