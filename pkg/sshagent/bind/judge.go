package bind

import (
	"bytes"

	"github.com/splitvault/splitvault/pkg/sshagent"
)

// Grade says what is known of a login's destination. The zero value refuses.
type Grade int

// The grades.
const (
	// Mismatch: data and binding contradict each other. Refuse.
	Mismatch Grade = iota
	// Unbound: nothing is known of the destination.
	Unbound
	// BoundUnverified: the binding's key has an unknown algorithm. Nothing is
	// known; Claimed is for display.
	BoundUnverified
	// BoundVerified: HostKey signed the session id. If that key is in the vault's
	// known hosts the login goes to that host; if not, it may go to any host.
	BoundVerified
	// Hostbound: the data names HostKey, and its server refuses the login if the
	// key is not its own ([PROTOCOL] section 3.1). The login goes to the owner of
	// the key, known to the vault or not.
	Hostbound
)

// String gives the word for logs and prompts.
func (g Grade) String() string {
	switch g {
	case Unbound:
		return "unbound"
	case BoundUnverified:
		return "bound-unverified"
	case BoundVerified:
		return "bound"
	case Hostbound:
		return "hostbound"
	default:
		return "mismatch"
	}
}

// Hop is a host through which the agent is forwarded.
type Hop struct {
	HostKey  []byte // blob
	Verified bool
}

// Destination is what data and bindings say of where a login goes.
type Destination struct {
	Grade     Grade
	HostKey   []byte // blob; set for Hostbound and BoundVerified only
	Claimed   []byte // blob; set for BoundUnverified only, proves nothing
	Forwarded bool   // the request comes through a forwarded agent
	Path      []Hop  // the forwarding hosts, the one nearest to the vault first
}

// Judge weighs a login's data against the bindings of its connection.
//
//	login      last binding                     grade
//	hostbound  none, or forwarding              Hostbound
//	hostbound  same session id and same key     Hostbound
//	publickey  none, or forwarding              Unbound
//	publickey  same session id, verified        BoundVerified
//	publickey  same session id, not verified    BoundUnverified
//	any        other session id, or other key   Mismatch
//
// A last binding that forwards speaks of the last hop and not of the login's
// destination, whose session id is another one; still a hostbound key must not
// contradict a binding with the login's own session id.
func (l *List) Judge(login *sshagent.Login) Destination {
	d := Destination{Forwarded: l.forwarded}
	for _, b := range l.bindings {
		if b.request.Forwarding {
			d.Path = append(d.Path, Hop{HostKey: b.request.HostKey, Verified: b.verified})
		}
	}
	if login == nil || l.contradicts(login) {
		return d
	}
	if login.Hostbound() {
		d.Grade, d.HostKey = Hostbound, login.HostKey
		return d
	}
	n := len(l.bindings)
	if n == 0 || l.bindings[n-1].request.Forwarding {
		d.Grade = Unbound
		return d
	}
	last := l.bindings[n-1]
	if last.verified {
		d.Grade, d.HostKey = BoundVerified, last.request.HostKey
		return d
	}
	d.Grade, d.Claimed = BoundUnverified, last.request.HostKey
	return d
}

// contradicts compares a login with the bindings.
func (l *List) contradicts(login *sshagent.Login) bool {
	for _, b := range l.bindings {
		same := bytes.Equal(b.request.SessionID, login.SessionID)
		if same && login.Hostbound() && !bytes.Equal(b.request.HostKey, login.HostKey) {
			return true
		}
		if !b.request.Forwarding && !same { // the last one: nothing follows it
			return true
		}
	}
	return false
}
