// Package bind keeps the session bindings of one agent connection and says what
// they prove about where a login goes ([PROTOCOL.agent],
// session-bind@openssh.com). It is apart from package sshagent because verifying
// needs golang.org/x/crypto/ssh, which ssh-relay must not contain.
//
// A verified binding proves that the owner of a host key signed a session id. It
// does not prove whose host key that is: a hostile client binds with a key of its
// own. Therefore a [Destination] names host keys only, and a name is believed
// only for a key that is in the vault's own known hosts, unless the login data
// itself is hostbound to the key.
//
// The references are defined in the documentation of package sshagent.
package bind
