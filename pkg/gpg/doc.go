// Package gpg decrypts, encrypts and verifies with GnuPG's program, whole or not at
// all: what it has written counts only if its status lines, on a descriptor of
// their own, say that one message was decrypted and its integrity holds, and it
// exits with 0.
//
// That is needed: gpg writes plaintext before it finds out that the message was
// changed, prints a file that was never encrypted and exits with 0, and says
// DECRYPTION_OKAY of output that it cut short. The status lines are those of
// GnuPG's doc/DETAILS; the differences between 2.2.40 and 2.4.7 were found by
// running both, and the tests do so again.
//
// No name, and nothing that is secret, is ever in gpg's arguments or environment.
package gpg
