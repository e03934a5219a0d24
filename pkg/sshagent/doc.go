// Package sshagent is the SSH agent protocol at byte level: frames, the table of
// requests that may pass, and strict parsers for what a sign request asks for.
//
// It holds no key, opens no socket and logs nothing. A message is read whole
// into a [Frame], judged, and the very same bytes are forwarded: nothing is
// decoded and encoded again on the way, so nothing can be lost or added by it.
// Every parser is strict (no byte left over, one spelling per value), so that
// what it accepts encodes back to the bytes it was made from.
//
// # Trust
//
// The bytes of requests come from a client qube that may be hostile, the bytes
// of replies from an agent that may be compromised. Parameters named untrusted
// hold either. Parsed values alias the frame they came from and are read-only;
// their text fields still hold the client's bytes and must be quoted when shown.
//
// # References
//
//   - [RFC9987]: SSH Agent Protocol, https://www.rfc-editor.org/rfc/rfc9987
//   - [RFC4251]: SSH architecture; section 5 is the data representation,
//     https://www.rfc-editor.org/rfc/rfc4251#section-5
//   - [RFC4252]: SSH authentication, https://www.rfc-editor.org/rfc/rfc4252
//   - [RFC4253]: SSH transport, https://www.rfc-editor.org/rfc/rfc4253
//   - [PROTOCOL]: OpenSSH's extensions of the SSH protocol,
//     https://github.com/openssh/openssh-portable/blob/master/PROTOCOL
//   - [PROTOCOL.agent]: OpenSSH's extensions of the agent protocol
//   - [PROTOCOL.certkeys]: certificates
//   - [PROTOCOL.sshsig]: signatures over files and git objects
//   - [PROTOCOL.u2f]: sk- keys (security keys); all beside PROTOCOL
//
// The API has no stability: it is meant for the programs of this module.
package sshagent
