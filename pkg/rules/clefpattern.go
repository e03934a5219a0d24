package rules

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/splitvault/splitvault/pkg/clefapi"
	"github.com/splitvault/splitvault/pkg/eth"
	"github.com/splitvault/splitvault/pkg/glob"
	"github.com/splitvault/splitvault/pkg/origin"
)

// MethodGlob is a pattern over Clef's methods.
type MethodGlob struct{ glob.Pattern }

// UnmarshalText accepts what matches a method that Clef has.
func (m *MethodGlob) UnmarshalText(text []byte) error {
	m.Pattern = glob.Pattern(text)
	if !slices.ContainsFunc(clefapi.Methods(), m.Match) {
		return fmt.Errorf("%q matches no method of Clef: %s", text, strings.Join(clefapi.Methods(), ", "))
	}
	return nil
}

// String returns the pattern as written.
func (m MethodGlob) String() string { return string(m.Pattern) }

// none stands for the absence of an origin, or of call data.
const none = "none"

// The patterns here are structures, as the decoder asks no text what it takes.

// OriginName is the origin of a page, or "none" for a program that is no browser.
type OriginName struct{ name string }

// UnmarshalText accepts an origin as browsers send it, and "none".
func (o *OriginName) UnmarshalText(text []byte) error {
	if o.name = string(text); o.name == none {
		return nil
	}
	_, err := origin.Parse(o.name)
	return err
}

// String returns the name as written.
func (o OriginName) String() string { return o.name }

func (o OriginName) matches(untrusted string) bool {
	if untrusted == "" {
		return o.name == none
	}
	return untrusted == o.name && untrusted != none
}

// Account is one of the vault's accounts.
type Account struct{ eth.Address }

// UnmarshalText accepts an address.
func (a *Account) UnmarshalText(text []byte) (err error) {
	a.Address, err = eth.ParseAddress(string(text))
	return err
}

// Recipient is an address, or "create" for a transaction that creates a contract.
type Recipient struct{ name string }

const create = "create"

// UnmarshalText accepts an address and "create".
func (t *Recipient) UnmarshalText(text []byte) error {
	if t.name = string(text); t.name == create {
		return nil
	}
	a, err := eth.ParseAddress(string(text))
	if err != nil {
		return fmt.Errorf("%w; or \"create\"", err)
	}
	t.name = string(a)
	return nil
}

// String returns an address in lower case, or "create".
func (t Recipient) String() string { return t.name }

func (t Recipient) matches(q ClefRequest) bool {
	if t.name == create {
		return q.Creates
	}
	return !q.Creates && string(q.To) == t.name
}

// CallName is the name of a function that is known, its selector, or "none" for
// a transaction without call data.
type CallName struct{ name string }

// UnmarshalText accepts "none", "0xa9059cbb" and the names of known functions.
func (c *CallName) UnmarshalText(text []byte) error {
	if c.name = string(text); c.name == none || slices.Contains(clefapi.FunctionNames(), c.name) {
		return nil
	}
	c.name = strings.ToLower(c.name)
	if b, err := eth.ParseData(c.name); err == nil && len(b) == 4 {
		return nil
	}
	return fmt.Errorf("%q is no call: \"none\", a selector such as \"0xa9059cbb\", or one of %s", text, strings.Join(clefapi.FunctionNames(), ", "))
}

// String returns the name.
func (c CallName) String() string { return c.name }

// ContentType is a content type of account_signData.
type ContentType struct{ name string }

// UnmarshalText accepts those that Clef treats differently.
func (c *ContentType) UnmarshalText(text []byte) error {
	if c.name = string(text); !slices.Contains(clefapi.ContentTypes(), c.name) {
		return fmt.Errorf("%q is no content type of account_signData: %s", text, strings.Join(clefapi.ContentTypes(), ", "))
	}
	return nil
}

// String returns the content type.
func (c ContentType) String() string { return c.name }

// Backend is where Clef listens: "http://127.0.0.1:8550" or "unix:~/.clef/clef.ipc".
type Backend struct {
	Network string // "tcp" or "unix"
	Address string // HOST:PORT, or a path as written
}

// UnmarshalText accepts an address and port of HTTP, and the path of a socket.
func (b *Backend) UnmarshalText(text []byte) error {
	s := string(text)
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		*b = Backend{"unix", path}
		return checkAgentPath(path)
	}
	if strings.HasPrefix(s, "https:") {
		return errors.New("Clef speaks no TLS: write \"http://ADDRESS:PORT\", over a link that nobody else is on")
	}
	rest, ok := strings.CutPrefix(s, "http://")
	rest = strings.Replace(strings.TrimSuffix(rest, "/"), "localhost:", "127.0.0.1:", 1)
	at, err := netip.ParseAddrPort(rest)
	if !ok || err != nil || at.Port() == 0 || at.Addr().Zone() != "" {
		return fmt.Errorf("%q is no backend: write \"http://127.0.0.1:8550\", with an address and a port, or \"unix:~/.clef/clef.ipc\"", s)
	}
	*b = Backend{"tcp", at.String()}
	return nil
}

// String writes the backend as rules.toml has it.
func (b Backend) String() string {
	if b.Network == "unix" {
		return "unix:" + b.Address
	}
	return "http://" + b.Address
}

// Port is the one of TCP, 0 for a socket's path.
func (b Backend) Port() uint16 {
	at, err := netip.ParseAddrPort(b.Address)
	if b.Network != "tcp" || err != nil {
		return 0
	}
	return at.Port()
}

// Expand returns the backend with the beginning of a path replaced as in
// [AgentPaths.Expand].
func (b Backend) Expand(runtime, home string) Backend {
	if b.Network == "unix" {
		b.Address = filepath.Clean(AgentPaths{b.Address}.Expand(runtime, home)[0])
	}
	return b
}

// peerText is the address of a peer as written.
func peerAddress(text string) (netip.Addr, error) {
	a, err := netip.ParseAddr(text)
	if err != nil || a.Zone() != "" || a.IsUnspecified() || a.IsMulticast() {
		return netip.Addr{}, fmt.Errorf("%s is no address of one machine: write \"10.137.0.12\"", strconv.Quote(text))
	}
	return a.Unmap(), nil
}
