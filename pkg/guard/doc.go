// Package guard is what every guard of the vault begins and ends with: one call
// of qrexec, whose standard error belongs to the calling qube, the journal and
// the audit file, a place among the calls of the same qube, the counters of rates
// and the way to the person at the vault's screen.
//
// All of it is opened before the guard confines itself, and nothing of it reads a
// byte of the client.
package guard
