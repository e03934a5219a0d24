// Package passguard serves one call of a pass.* service: it reads what the client
// asks for, judges it by the vault's rules, asks a person where they say so, and
// gives the answer whole, or not a byte of it.
//
// The argument of the call, where there is one, is the name, or the scope in which the
// name on standard input must lie: dom0's rules for arguments hold. What is denied
// is answered like what is not there. End of input does not mean that the client
// is gone (`echo NAME | qrexec-client-vm …` ends at once); ctx must end when it is.
//
// Plaintext goes from gpg's pipe to standard output through locked memory.
package passguard
