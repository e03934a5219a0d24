// Package attacks tests that the known attacks of a hostile client qube on the
// vault's ssh agent do what they are said to do through a raw relay (package
// test/baseline), and nothing through splitvault.
//
// Each attack runs in the two-qube bench, on Debian 12 and 13, against a real
// ssh-agent or gpg-agent. The same bytes go three ways: into the socket of the
// raw relay, into our own socket, and past our relay straight into the qrexec
// call, as a client qube that is root in itself can do. After each attack through
// ours an honest ssh-add and ssh-keygen must still work.
package attacks
