package sshagent

// Names of the extensions that are known here. They are compared exactly:
// look-alikes are other extensions.
const (
	// ExtensionBind ties a connection to an SSH session ([PROTOCOL.agent]).
	ExtensionBind = "session-bind@openssh.com"
	// ExtensionQuery asks for the supported extensions ([RFC9987] section 3.8.1).
	ExtensionQuery = "query"
	// ExtensionReset is our own, between ssh-relay and ssh-guard: the relay's
	// call serves a new client, forget the bindings. It has no content.
	ExtensionReset = "reset@splitvault"
)

// Class is what a client's message is to us. The zero value refuses.
type Class int

// The classes. Only List, Sign, Bind, Query and Reset may be acted on; the
// answer to Refuse and ProtocolError is Failure, and a connection that goes on
// with protocol errors should be closed.
const (
	Refuse        Class = iota // a message of the protocol that nobody may send here
	ProtocolError              // an agent's message, an unknown type, or a malformed body
	List                       // REQUEST_IDENTITIES, empty body
	Sign                       // SIGN_REQUEST that ParseSignRequest takes
	Bind                       // session-bind; its content is for ParseBind to judge
	Query                      // query, without content
	Reset                      // reset@splitvault, without content
)

// String gives a word for logs.
func (c Class) String() string {
	switch c {
	case ProtocolError:
		return "protocol-error"
	case List:
		return "list"
	case Sign:
		return "sign"
	case Bind:
		return "bind"
	case Query:
		return "query"
	case Reset:
		return "reset"
	default:
		return "refuse"
	}
}

// Classify sorts a client's message into the table of what may pass: by type
// and, for extensions, by exact name. It allocates nothing for what may pass.
//
// Refused by name: the messages that change an agent (add, remove, lock), that
// make it load a provider library (20, 21, 26; and 17, 25 with
// sk-provider@openssh.com), all of SSH 1, and every other extension. A binding
// with bad content stays a Bind, because agents count the attempt.
func Classify(f Frame) Class {
	switch f.Type() {
	case TypeRequestIdentities:
		if len(f.Body()) != 0 {
			return ProtocolError
		}
		return List
	case TypeSignRequest:
		if _, err := ParseSignRequest(f); err != nil {
			return ProtocolError
		}
		return Sign
	case TypeExtension:
		return classifyExtension(f.Body())
	case TypeRequestRSAIdentities, TypeRSAChallenge, TypeAddRSAIdentity,
		TypeRemoveRSAIdentity, TypeRemoveAllRSAIdentities, TypeAddRSAIDConstrained,
		TypeAddIdentity, TypeAddIDConstrained, TypeRemoveIdentity, TypeRemoveAllIdentities,
		TypeAddSmartcardKey, TypeRemoveSmartcardKey, TypeAddSmartcardKeyConstrained,
		TypeLock, TypeUnlock:
		return Refuse
	default:
		return ProtocolError
	}
}

func classifyExtension(untrustedBody []byte) Class {
	c := cursor{rest: untrustedBody}
	name := c.string()
	if c.bad {
		return ProtocolError
	}
	empty := len(c.rest) == 0
	switch string(name) {
	case ExtensionBind:
		return Bind
	case ExtensionQuery:
		if empty {
			return Query
		}
		return ProtocolError
	case ExtensionReset:
		if empty {
			return Reset
		}
		return ProtocolError
	default:
		return Refuse
	}
}

// Answers reports whether an agent's message is a possible answer to a client's
// message of that class: the right type, and no content where there is none.
// Nothing answers Refuse and ProtocolError but Failure.
func Answers(c Class, untrustedReply Frame) bool {
	empty := len(untrustedReply.Body()) == 0
	switch untrustedReply.Type() {
	case TypeFailure:
		return empty
	case TypeSuccess:
		return empty && (c == Bind || c == Reset)
	case TypeExtensionFailure:
		return empty && (c == Bind || c == Query || c == Reset)
	case TypeIdentitiesAnswer:
		return c == List
	case TypeSignResponse:
		return c == Sign
	case TypeExtensionResponse:
		return c == Query
	default:
		return false
	}
}
