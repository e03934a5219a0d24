package consent

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"time"
)

// SSH is a use of an ssh key, as a prompt tells it. The texts need not be
// printable: Request makes them so.
type SSH struct {
	Qube        string   // dom0's word
	Agent       string   // of qubes.Ssh+AGENT, "" for the default
	Label       string   // the key's comment in the vault
	Fingerprint string   // "SHA256:…"
	Purpose     string   // as rules name it: "login", "sshsig:git"
	User        string   // of a login; the signature covers it
	Host        string   // believed destination; "" if unverified or none
	HostKey     string   // fingerprint of the destination's key, "" if unknown
	Forwarded   bool     // a server asks, through a forwarded agent
	Path        []string // forwarding hosts, as far as they are known, the one nearest to the vault first
	Remember    time.Duration
	Named       bool // see Request
}

// Request returns the question. Everything it shows but the key's label is in
// the subject, so that a grant covers no more than the person saw.
func (s *SSH) Request() Request {
	r := Request{
		Service: "ssh", Qube: Printable(s.Qube, MaxText), Remember: s.Remember, Named: s.Named,
		Lines: []Line{{Text: s.question()}},
	}
	fact := func(name, value string) {
		// Cut texts are equal too easily: a grant for one would help another.
		if len(Printable(value, MaxText)) > MaxText-8 {
			value = fmt.Sprintf("SHA-256 %x", sha256.Sum256([]byte(value)))
		}
		r.Subject = append(r.Subject, Fact{name, Printable(value, MaxText)})
	}
	line := func(label, text string, claimed bool) {
		if text != "" {
			r.Lines = append(r.Lines, Line{label, Printable(text, MaxText), claimed})
		}
	}
	fact("agent", s.Agent)
	fact("key", s.Fingerprint)
	fact("purpose", s.Purpose)
	line("Key", Printable(s.Label, 80), false)
	r.Lines = append(r.Lines, Line{Text: Printable(s.Fingerprint, MaxText)})
	line("Agent", s.Agent, false)
	line("Purpose", s.purpose(), false)
	if s.isLogin() {
		fact("user", s.User)
		fact("host", s.Host)
		fact("hostkey", s.HostKey)
		line("Destination", s.destination(), false)
		line("Host key", s.HostKey, false)
	}
	if s.Forwarded {
		path := "an unknown server"
		if len(s.Path) > 0 {
			path = strings.Join(s.Path, " > ")
		}
		fact("path", path)
		line("FORWARDED through", path, false)
	}
	return r
}

// Notice tells of the use instead of asking for it.
func (s *SSH) Notice(allowed bool) Notice {
	text := s.deed()
	if s.Label != "" {
		text += ", key " + Printable(s.Label, 60)
	}
	return Notice{Service: "ssh", Qube: Printable(s.Qube, MaxText), Allowed: allowed, Text: text[:min(len(text), MaxText)]}
}

func (s *SSH) isLogin() bool { return s.Purpose == "login" || s.Purpose == "forwarded-login" }

func (s *SSH) question() string {
	return fmt.Sprintf("Allow the qube %s to %s?", Printable(s.Qube, 64), s.deed())
}

// deed is what a yes allows. The client chose the user name and the namespace: they
// come last, and quoted.
func (s *SSH) deed() string {
	kind, namespace, _ := strings.Cut(s.Purpose, ":")
	switch {
	case s.isLogin() && s.Host != "":
		return fmt.Sprintf("log in at %s as %s", Printable(s.Host, 100), quote(s.User))
	case s.isLogin():
		return "log in at an UNVERIFIED host as " + quote(s.User)
	case kind == "sshsig" && namespace == "git":
		return "sign a git commit or tag"
	case kind == "sshsig":
		return "sign for the namespace " + quote(namespace)
	case kind == "certificate":
		return "ISSUE A CERTIFICATE with this key"
	case kind == "hostkey":
		return "POSE AS THE HOST of this key"
	default:
		return "SIGN ANYTHING with this key"
	}
}

func (s *SSH) purpose() string {
	switch kind, _, _ := strings.Cut(s.Purpose, ":"); kind {
	case "login":
		return "log in to a server"
	case "forwarded-login":
		return "log in to a server, asked for by another server (forwarded agent)"
	case "sshsig":
		return "sign a file, commit or message"
	default:
		return s.Purpose
	}
}

func (s *SSH) destination() string {
	if s.Host != "" {
		return s.Host + " (its key is in the vault's known hosts)"
	}
	return "UNVERIFIED: it can be any server"
}

func quote(untrusted string) string { return `"` + Printable(untrusted, 48) + `"` }
