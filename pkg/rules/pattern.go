package rules

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/splitvault/splitvault/pkg/glob"
)

// KeyPattern matches keys by fingerprint or by the vault's comment.
type KeyPattern struct {
	fingerprint string
	comment     glob.Pattern
}

const sha256Prefix = "SHA256:"

// UnmarshalText accepts "SHA256:…" as ssh-add -l prints it, and "comment:GLOB".
func (k *KeyPattern) UnmarshalText(text []byte) error {
	s := string(text)
	if pattern, ok := strings.CutPrefix(s, "comment:"); ok {
		if pattern == "" {
			return fmt.Errorf("%q matches only keys without comment: write comment:* or a name", s)
		}
		k.comment = glob.Pattern(pattern)
		return nil
	}
	digest, ok := strings.CutPrefix(s, sha256Prefix)
	if !ok {
		return fmt.Errorf("%q is no key: write \"SHA256:…\", as ssh-add -l prints it, or \"comment:work@*\"", s)
	}
	if b, err := base64.RawStdEncoding.Strict().DecodeString(digest); err != nil || len(b) != 32 {
		return fmt.Errorf("%q is no whole fingerprint: copy all of what ssh-add -l prints", s)
	}
	k.fingerprint = s
	return nil
}

func (k KeyPattern) matches(q SSHRequest) bool {
	if k.fingerprint == "" {
		return k.comment.Match(q.Comment)
	}
	return slices.Contains(q.Fingerprints, k.fingerprint)
}

func (k KeyPattern) covers(other KeyPattern) bool {
	if k.fingerprint != "" || other.fingerprint != "" {
		// Any comment fits a pattern of stars only, and so any key.
		return k.fingerprint == other.fingerprint || k.fingerprint == "" && strings.Trim(string(k.comment), "*") == ""
	}
	return k.comment.Covers(other.comment)
}

// meets tells whether some key fits both, as far as the patterns tell: whether
// a fingerprint's key has a certain comment is not known here.
func (k KeyPattern) meets(other KeyPattern) bool {
	if k.fingerprint != "" || other.fingerprint != "" {
		return k.covers(other) || other.covers(k)
	}
	return k.comment.Meets(other.comment)
}

// PurposePattern matches what a signature is for.
type PurposePattern struct{ glob.Pattern }

// The purposes that have a user and a destination.
const (
	login          = "login"
	forwardedLogin = "forwarded-login"
)

// UnmarshalText accepts the purposes by name, and "sshsig:NAMESPACE", where
// NAMESPACE may be a pattern.
func (p *PurposePattern) UnmarshalText(text []byte) error {
	s := string(text)
	switch s {
	case login, forwardedLogin, "certificate", "hostkey", "raw":
		p.Pattern = glob.Pattern(s)
		return nil
	case "sshsig":
		return errors.New("\"sshsig\" needs a namespace: \"sshsig:git\", or \"sshsig:*\" for all")
	}
	if ns, ok := strings.CutPrefix(s, "sshsig:"); ok && ns != "" {
		p.Pattern = glob.Pattern(s)
		return nil
	}
	return fmt.Errorf("%q is no purpose: login, forwarded-login, sshsig:NAMESPACE, certificate, hostkey or raw", s)
}

// isLogin tells whether uses of the purpose have a user and a destination.
func (p PurposePattern) isLogin() bool { return p.Pattern == login || p.Pattern == forwardedLogin }

// String returns the pattern as written.
func (p PurposePattern) String() string { return string(p.Pattern) }

// UserGlob is a pattern over user names of a login.
type UserGlob struct{ glob.Pattern }

// UnmarshalText accepts any text that is not empty.
func (u *UserGlob) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		return errors.New("\"\" is no user name")
	}
	u.Pattern = glob.Pattern(text)
	return nil
}

// String returns the pattern as written.
func (u UserGlob) String() string { return string(u.Pattern) }

// HostGlob is a pattern over names of hosts as known_hosts has them: "NAME" for
// port 22, "[NAME]:PORT" for others, in lower case.
type HostGlob struct{ glob.Pattern }

// UnmarshalText accepts a name or address, also in brackets with a port, in which
// "*" and "?" may stand.
func (h *HostGlob) UnmarshalText(text []byte) error {
	s := strings.ToLower(string(text))
	name, port := s, ""
	if rest, ok := strings.CutPrefix(s, "["); ok {
		var found bool
		if name, port, found = strings.Cut(rest, "]:"); !found || port == "" || strings.Trim(port, "0123456789*?") != "" {
			return fmt.Errorf("%q is no host: write \"[HOST]:PORT\"", text)
		}
	}
	if name == "" || strings.ContainsFunc(name, oddInHost) {
		return fmt.Errorf("%q is no host: write a name, an address, or \"[HOST]:PORT\"", text)
	}
	if before, after, found := strings.Cut(name, ":"); found && !strings.ContainsAny(name, "*?") {
		if _, err := netip.ParseAddr(name); err != nil {
			return fmt.Errorf("%q is no host: for a port, write \"[%s]:%s\"", text, before, after)
		}
	}
	if port != "" && port != "22" {
		name = "[" + name + "]:" + port
	}
	h.Pattern = glob.Pattern(name)
	return nil
}

func oddInHost(r rune) bool {
	return r > '~' || !nameByte(byte(r)) && !strings.ContainsRune(":%*?", r)
}

// String returns the pattern as it is compared.
func (h HostGlob) String() string { return string(h.Pattern) }

// Plain tells whether it is one name.
func (h HostGlob) Plain() bool { return !strings.ContainsAny(string(h.Pattern), "*?") }
