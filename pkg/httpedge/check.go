package httpedge

import (
	"strings"
)

// Policy says whom the edge serves.
type Policy struct {
	// Host tells whether a Host header names this server. Its argument is in
	// lower case. Where a page's own name resolves to this machine, the name is
	// what the browser sends.
	Host func(untrusted string) bool
	// Origin tells whether pages of an origin may talk to it. It is never asked
	// about "null", which any page can have.
	Origin func(untrusted string) bool
}

// Caller is what a request that was not refused says of who sent it.
type Caller struct {
	Origin    string // of a web page, an allowed one; "" for a native client
	UserAgent string // untrusted
}

// Check makes all checks of the head, in their order. A request that passes is a
// POST, OPTIONS, or GET or HEAD of "/".
func (p *Policy) Check(h *Head) (Caller, *Refusal) {
	if refusal := checkMethod(h); refusal != nil {
		return Caller{}, refusal
	}
	if refusal := p.checkHost(h); refusal != nil {
		return Caller{}, refusal
	}
	origin, refusal := p.checkOrigin(h)
	if refusal != nil {
		return Caller{}, refusal
	}
	if refusal := checkSite(h, origin); refusal != nil {
		return Caller{}, refusal
	}
	if h.Method == "POST" {
		if refusal := checkType(h); refusal != nil {
			return Caller{}, refusal
		}
	}
	agent, _ := h.Get("user-agent")
	return Caller{Origin: origin, UserAgent: agent}, nil
}

func checkMethod(h *Head) *Refusal {
	body := h.Chunked || h.Length > 0
	switch h.Method {
	case "POST":
		if !strings.HasPrefix(h.Target, "/") {
			return bad("the request target is no path")
		}
		return nil
	case "OPTIONS":
		if !strings.HasPrefix(h.Target, "/") && h.Target != "*" {
			return bad("the request target is no path")
		}
		if body {
			return bad("a body where there is none")
		}
		return nil
	case "GET", "HEAD":
		// Clef runs the body of such a request, too.
		if body {
			return bad("a body where there is none")
		}
		if h.Target == "/" {
			return nil
		}
	}
	return &Refusal{Status: 405, Text: "requests are POST"}
}

func (p *Policy) checkHost(h *Head) *Refusal {
	host, count := h.Get("host")
	if count == 0 && h.Minor == 1 {
		return bad("no Host")
	}
	if !p.Host(strings.ToLower(host)) {
		return forbidden("the Host header names another server")
	}
	return nil
}

func (p *Policy) checkOrigin(h *Head) (string, *Refusal) {
	origin, count := h.Get("origin")
	switch {
	case count == 0:
		return "", nil
	case count > 1:
		return "", forbidden("more than one origin")
	case origin == "" || origin == "null" || !p.Origin(origin):
		return "", &Refusal{Status: 403, Text: "this origin is not allowed", Origin: origin}
	}
	return origin, nil
}

// checkSite refuses what a page makes the browser send without an Origin: images,
// scripts, frames. Sec-Fetch-Site is the browser's own word, which no page can set.
func checkSite(h *Head, origin string) *Refusal {
	site, count := h.Get("sec-fetch-site")
	if count > 0 && origin == "" && site != "none" {
		return forbidden("a web page made the browser send this")
	}
	return nil
}

// checkType takes the three types that Clef takes, and what curl -d sends, but
// only where nothing tells of a browser: a form on any page can send that without
// asking.
func checkType(h *Head) *Refusal {
	value, count := h.Get("content-type")
	name, _, _ := strings.Cut(value, ";")
	switch name = strings.ToLower(strings.Trim(name, " \t")); name {
	case "application/json", "application/json-rpc", "application/jsonrequest":
		return nil
	case "application/x-www-form-urlencoded", "":
		if name == "" && count > 0 {
			break
		}
		if !h.Has("origin") && !h.Has("sec-fetch-site") && !h.Has("referer") && !h.Has("cookie") {
			return nil
		}
	}
	return &Refusal{Status: 415, Text: "the content type is not application/json"}
}
