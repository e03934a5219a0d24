// Package load puts more on split SSH and split Clef than anybody does, in booted
// qubes: hundreds of real logins at once, a socket's whole backlog, pages that all
// sign in one moment, twenty qubes at one vault, and a qube that floods the vault
// while another one asks for a single thing.
//
// Nothing may be lost and nothing may hang: every request is answered, and within
// a time that is bounded. [Run] does it and measures; test/figures prints what it
// gives, and "just load" runs the whole of it.
package load
