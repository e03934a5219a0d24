// Package sshrelay serves one ssh client in a client qube: it reads agent
// messages ([RFC 9987]), answers by itself what no guard would accept, and
// passes the rest, the same bytes, through a qrexec call to the vault.
//
// It is lazy: no call before the first complete message that a guard could
// accept, as ssh -A opens connections it never uses, and each call may mean a
// prompt in dom0. It lets go: a call on which nothing is outstanding is closed
// after a while, or at once when other connections wait for their turn, and made
// anew at the next request, with the client's session-binds replayed. It is
// honest: whatever goes wrong is a clean SSH_AGENT_FAILURE to the client and one
// log line that names the cause and the next step.
//
// [RFC 9987]: https://www.rfc-editor.org/rfc/rfc9987
package sshrelay
