package sshagent

import (
	"fmt"
	"time"
)

// Limits. Lengths count the type byte and the body, not the four bytes of the
// length itself, as the length on the wire does ([RFC9987] section 3).
const (
	// MaxRequest bounds a client's message. Real requests stay below 4 KiB.
	MaxRequest = 64 << 10
	// MaxReply bounds an agent's message; it is OpenSSH's AGENT_MAX_LEN.
	MaxReply = 256 << 10
	// MaxGPGRequest bounds a message for gpg-agent, which reads requests into
	// its small pool of secure memory (2.4.7 failed at 20 000 bytes).
	MaxGPGRequest = 16 << 10
	// MaxSessionID bounds a session id; it is OpenSSH's AGENT_MAX_SID_LEN.
	MaxSessionID = 128
	// MaxBindings bounds the bindings of one connection; it is OpenSSH's
	// AGENT_MAX_SESSION_IDS.
	MaxBindings = 16
	// FrameTime is the time a message may take from its first byte to its last.
	FrameTime = 10 * time.Second
)

// MessageType is the first byte of a message.
type MessageType byte

// Messages of the SSH 1 part of the protocol. [RFC9987] reserves their numbers,
// OpenSSH still parses some: 9 removes all keys, of SSH 2 too.
const (
	TypeRequestRSAIdentities   MessageType = 1
	TypeRSAIdentitiesAnswer    MessageType = 2
	TypeRSAChallenge           MessageType = 3
	TypeRSAResponse            MessageType = 4
	TypeAddRSAIdentity         MessageType = 7
	TypeRemoveRSAIdentity      MessageType = 8
	TypeRemoveAllRSAIdentities MessageType = 9
	TypeAddRSAIDConstrained    MessageType = 24
)

// Messages of [RFC9987] section 5.1.
const (
	TypeFailure                    MessageType = 5
	TypeSuccess                    MessageType = 6
	TypeRequestIdentities          MessageType = 11
	TypeIdentitiesAnswer           MessageType = 12
	TypeSignRequest                MessageType = 13
	TypeSignResponse               MessageType = 14
	TypeAddIdentity                MessageType = 17
	TypeRemoveIdentity             MessageType = 18
	TypeRemoveAllIdentities        MessageType = 19
	TypeAddSmartcardKey            MessageType = 20
	TypeRemoveSmartcardKey         MessageType = 21
	TypeLock                       MessageType = 22
	TypeUnlock                     MessageType = 23
	TypeAddIDConstrained           MessageType = 25
	TypeAddSmartcardKeyConstrained MessageType = 26
	TypeExtension                  MessageType = 27
	TypeExtensionFailure           MessageType = 28
	TypeExtensionResponse          MessageType = 29
)

// String gives the protocol's own name without its SSH_AGENT prefix, or the
// number of a type that has none. It holds no byte of a peer's choosing.
func (t MessageType) String() string {
	switch t {
	case TypeRequestRSAIdentities:
		return "REQUEST_RSA_IDENTITIES"
	case TypeRSAIdentitiesAnswer:
		return "RSA_IDENTITIES_ANSWER"
	case TypeRSAChallenge:
		return "RSA_CHALLENGE"
	case TypeRSAResponse:
		return "RSA_RESPONSE"
	case TypeAddRSAIdentity:
		return "ADD_RSA_IDENTITY"
	case TypeRemoveRSAIdentity:
		return "REMOVE_RSA_IDENTITY"
	case TypeRemoveAllRSAIdentities:
		return "REMOVE_ALL_RSA_IDENTITIES"
	case TypeAddRSAIDConstrained:
		return "ADD_RSA_ID_CONSTRAINED"
	case TypeFailure:
		return "FAILURE"
	case TypeSuccess:
		return "SUCCESS"
	case TypeRequestIdentities:
		return "REQUEST_IDENTITIES"
	case TypeIdentitiesAnswer:
		return "IDENTITIES_ANSWER"
	case TypeSignRequest:
		return "SIGN_REQUEST"
	case TypeSignResponse:
		return "SIGN_RESPONSE"
	case TypeAddIdentity:
		return "ADD_IDENTITY"
	case TypeRemoveIdentity:
		return "REMOVE_IDENTITY"
	case TypeRemoveAllIdentities:
		return "REMOVE_ALL_IDENTITIES"
	case TypeAddSmartcardKey:
		return "ADD_SMARTCARD_KEY"
	case TypeRemoveSmartcardKey:
		return "REMOVE_SMARTCARD_KEY"
	case TypeLock:
		return "LOCK"
	case TypeUnlock:
		return "UNLOCK"
	case TypeAddIDConstrained:
		return "ADD_ID_CONSTRAINED"
	case TypeAddSmartcardKeyConstrained:
		return "ADD_SMARTCARD_KEY_CONSTRAINED"
	case TypeExtension:
		return "EXTENSION"
	case TypeExtensionFailure:
		return "EXTENSION_FAILURE"
	case TypeExtensionResponse:
		return "EXTENSION_RESPONSE"
	default:
		return fmt.Sprintf("type %d", byte(t))
	}
}
