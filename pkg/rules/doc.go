// Package rules reads and applies the vault owner's rules.toml: which qube may
// use what, for which purpose, as whom and where.
//
// The first rule that matches decides; no match is a denial. A file with any
// mistake in it is refused whole, so that a typing error can never widen
// access: an unknown key, a bad value, an unreadable file, a rule that denies
// less than it says. What only does nothing (a rule that is never reached, a key
// without effect) is a warning, and the file is in force. Both are reported with
// file, line and what to write instead.
//
// Users and hosts are of logins only. A user name is part of what is signed; the
// name of a host is one only if the vault's own known hosts have it for the
// login's host key, never because a client says so. Whoever wants to can hide
// where a login goes: so a rule that denies some hosts, before one that allows
// all, is a mistake.
package rules
