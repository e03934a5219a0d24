// Package openssh compares what pkg/sshagent understands with what the real
// OpenSSH understands: what ours lets through must mean the same to ssh-agent, to
// ssh-keygen, and so to the servers that rely on them, or be refused by them.
//
// ssh-agent itself is the judge of login data: for a key that is bound to a
// destination it parses the data that it is to sign, and signs for that user and
// that session only. ssh-keygen reads certificates and checks file signatures.
package openssh
