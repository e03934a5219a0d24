package bind

import (
	"bytes"
	"slices"

	"github.com/splitvault/splitvault/pkg/sshagent"
)

// List holds the bindings of one connection; it lives and dies with it. The zero
// List is ready for use. It is not safe for concurrent use.
type List struct {
	bindings  []binding
	attempted bool
	forwarded bool
}

type binding struct {
	request  sshagent.BindRequest
	verified bool
	frame    sshagent.Frame
}

// Add judges a session-bind request and gives the answer for the client:
// Success, ExtensionFailure for a binding that is malformed, wrongly signed or
// against the rules, or Failure for another message. The rules are ssh-agent's
// (process_ext_session_bind in ssh-agent.c):
//
//  1. the attempt counts, whatever comes of it;
//  2. the signature is verified (see Verify);
//  3. after a binding that does not forward there is no further one;
//  4. a session id that is there with the same key is accepted and not recorded
//     again, with another key it is refused;
//  5. at most MaxBindings are held.
//
// A key that is there may come again with a new session id.
func (l *List) Add(f sshagent.Frame) (answer sshagent.Frame) {
	if sshagent.Classify(f) != sshagent.Bind {
		return sshagent.Failure()
	}
	l.attempted = true
	b, err := sshagent.ParseBind(f)
	if err != nil {
		l.forwarded = true // it may have said so: the less trusted reading
		return sshagent.ExtensionFailure()
	}
	// A peer that says it is forwarded is believed, even if the binding fails.
	l.forwarded = l.forwarded || b.Forwarding
	verified, err := Verify(b)
	if err != nil {
		return sshagent.ExtensionFailure()
	}
	return l.record(binding{b, verified, f})
}

func (l *List) record(b binding) (answer sshagent.Frame) {
	if n := len(l.bindings); n > 0 && !l.bindings[n-1].request.Forwarding {
		return sshagent.ExtensionFailure()
	}
	for _, old := range l.bindings {
		if !bytes.Equal(old.request.SessionID, b.request.SessionID) {
			continue
		}
		if bytes.Equal(old.request.HostKey, b.request.HostKey) {
			return sshagent.Success()
		}
		return sshagent.ExtensionFailure()
	}
	if len(l.bindings) >= sshagent.MaxBindings {
		return sshagent.ExtensionFailure()
	}
	l.bindings = append(l.bindings, b)
	return sshagent.Success()
}

// Attempted reports whether the client tried to bind, successfully or not.
func (l *List) Attempted() bool { return l.attempted }

// Forwarded reports whether the requests of this connection come from another
// host through a forwarded agent, as far as the client says so: some binding has
// the mark, or one that could not be read may have had it.
func (l *List) Forwarded() bool { return l.forwarded }

// Frames gives the recorded requests in their order, to be sent again to an
// agent that holds keys with destination constraints.
func (l *List) Frames() []sshagent.Frame {
	frames := make([]sshagent.Frame, 0, len(l.bindings))
	for _, b := range l.bindings {
		frames = append(frames, b.frame)
	}
	return frames
}

// Destination is where the connection says it is bound to, for choosing which
// keys to list before there is login data: the last binding's host key if that
// binding is verified and does not forward, else nil. Its name may be believed
// if the key is in the vault's known hosts.
func (l *List) Destination() (hostKey []byte) {
	n := len(l.bindings)
	if n == 0 || l.bindings[n-1].request.Forwarding || !l.bindings[n-1].verified {
		return nil
	}
	return slices.Clone(l.bindings[n-1].request.HostKey)
}

// Reset forgets everything: another client follows on the same connection.
func (l *List) Reset() { *l = List{} }
