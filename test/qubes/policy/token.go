package policy

import (
	"fmt"
	"slices"
	"strings"
)

// place is where a token stands; not every token is allowed everywhere.
type place int

const (
	inSource place = 1 << iota
	inTarget
	inRedirect // target= and default_target=
	inRequest  // what the calling qube named
)

type tokenKind int

const (
	nameToken tokenKind = iota // a qube's name or "uuid:…"; existence is not checked
	wildcardToken
	adminToken
	anyVMToken
	defaultToken
	dispVMToken
	dispTemplateToken // @dispvm:NAME
	dispTagToken      // @dispvm:@tag:T
	typeToken
	tagToken
)

// token is one qube designation. text is its canonical spelling, value what
// follows the prefix of the prefixed kinds.
type token struct {
	kind        tokenKind
	text, value string
}

type keyword struct {
	kind tokenKind
	text string
	at   place
}

func exactKeywords() []keyword {
	return []keyword{
		{wildcardToken, "*", inSource | inTarget},
		{adminToken, "@adminvm", inSource | inTarget | inRedirect | inRequest},
		{anyVMToken, "@anyvm", inSource | inTarget},
		{defaultToken, "@default", inTarget | inRequest},
		{dispVMToken, "@dispvm", inTarget | inRedirect | inRequest},
	}
}

func prefixKeywords() []keyword {
	return []keyword{
		{typeToken, "@type:", inSource | inTarget},
		{tagToken, "@tag:", inSource | inTarget},
		{dispTemplateToken, "@dispvm:", inSource | inTarget | inRedirect | inRequest},
		{dispTagToken, "@dispvm:@tag:", inSource | inTarget},
	}
}

// parseToken reads one designation (parser.py, class VMToken). Anything that
// does not start with @ and is not * is a name, however odd.
func parseToken(untrusted string, at place) (token, error) {
	if untrusted == dom0Name {
		untrusted = "@adminvm"
	}
	if untrusted != "*" && !strings.HasPrefix(untrusted, "@") {
		return token{nameToken, untrusted, untrusted}, nil
	}
	for _, k := range exactKeywords() {
		if k.at&at != 0 && k.text == untrusted {
			return token{k.kind, untrusted, ""}, nil
		}
	}
	for _, k := range prefixKeywords() {
		value, ok := strings.CutPrefix(untrusted, k.text)
		if k.at&at == 0 || !ok {
			continue
		}
		if value == "" {
			return token{}, fmt.Errorf("nothing after %q", k.text)
		}
		if !strings.HasPrefix(value, "@") { // else it may belong to a longer prefix
			return token{k.kind, untrusted, value}, nil
		}
	}
	return token{}, fmt.Errorf("%q is not allowed %s", untrusted, at)
}

// String says where the place is, as part of an error message.
func (p place) String() string {
	switch p {
	case inSource:
		return "as SOURCE"
	case inTarget:
		return "as TARGET"
	case inRedirect:
		return "in target= or default_target="
	case inRequest:
		return "as the target of a call"
	default:
		return "here"
	}
}

// verify normalises a designation for use as a call's target: an unknown name
// becomes @default, a UUID the name, and @dispvm:NAME must name a template for
// disposables.
func (s System) verify(t token) (token, error) {
	switch t.kind {
	case nameToken:
		q, ok := s.find(t.text)
		if !ok {
			return token{defaultToken, "@default", ""}, nil
		}
		return qubeToken(q.Name), nil
	case dispTemplateToken:
		q, ok := s.find(t.value)
		if !ok || !q.TemplateForDispVMs {
			return token{}, fmt.Errorf("not a template for dispvm: %q", t.value)
		}
		return dispTemplate(q.Name), nil
	default:
		return t, nil
	}
}

// matches says whether a rule's SOURCE or TARGET column t covers other, which
// is verified; caller is the qube that calls.
func (s System) matches(t, other token, caller string) bool {
	switch t.kind {
	case wildcardToken:
		return true
	case anyVMToken:
		return other.kind != adminToken
	case typeToken, tagToken:
		q, ok := s.find(other.text)
		return ok && s.belongs(t, q)
	case dispTemplateToken, dispTagToken:
		if other.kind == dispVMToken {
			other = s.defaultDisposable(caller)
		}
		if other.kind != dispTemplateToken {
			return false
		}
		q, ok := s.find(other.value)
		if t.kind == dispTagToken {
			return ok && q.TemplateForDispVMs && hasTag(q, t.value)
		}
		mine, known := s.find(t.value)
		return t.value == other.value || ok && known && mine.Name == q.Name
	case nameToken:
		q, ok := s.find(t.text)
		return ok && other.kind == nameToken && other.text == q.Name
	default:
		return t.kind == other.kind
	}
}

// defaultDisposable is what @dispvm means for calls from that qube; a nameToken
// with empty text where there is none.
func (s System) defaultDisposable(caller string) token {
	if d := s.Qubes[caller].DefaultDispVM; d != "" {
		return dispTemplate(d)
	}
	return token{}
}

// belongs says whether q is of the type or has the tag that t names.
func (s System) belongs(t token, q Qube) bool {
	if t.kind == typeToken {
		return q.Type == t.value
	}
	return hasTag(q, t.value)
}

func hasTag(q Qube, tag string) bool { return slices.Contains(q.Tags, tag) }

// qubeToken is the designation of an existing qube.
func qubeToken(name string) token {
	if name == dom0Name {
		return token{adminToken, "@adminvm", ""}
	}
	return token{nameToken, name, name}
}

func dispTemplate(name string) token {
	return token{dispTemplateToken, "@dispvm:" + name, name}
}
