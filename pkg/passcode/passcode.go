// Package passcode has the exit codes of pass-guard, which qrexec carries to the
// client, and their tokens in the protocol of pass-relay and in qpass.
package passcode

import "strconv"

// Code is an exit code.
type Code int

// The codes of pass-guard. They keep clear of qrexec's own, 125 to 127, and of
// those of signals, from 128.
const (
	OK         Code = 0
	Internal   Code = 1
	BadRequest Code = 2
	NotFound   Code = 10 // no such entry, or not this qube's: nobody can tell which
	Refused    Code = 11 // a person, or a rule for an entry that the qube may see
	Locked     Code = 12 // the store's key is locked, or its passphrase was not given
	Decrypt    Code = 13 // the entry cannot be decrypted, or is not what it should be
	Busy       Code = 14 // too many calls, or too often
	TooLarge   Code = 15 // the entry, what was sent, or the name
	NoField    Code = 16 // the entry is there, that field is not
)

// The codes that qrexec gives instead, on the client's side.
const (
	Qrexec    Code = 125 // qrexec does not work
	Denied    Code = 126 // dom0's policy, or the person asked by it
	NoService Code = 127 // the vault has no such service
)

var words = map[Code]struct{ token, text string }{
	OK:         {"ok", "done"},
	Internal:   {"internal", "internal error, see the vault's journal"},
	BadRequest: {"bad-request", "bad request"},
	NotFound:   {"not-found", "no such entry"},
	Refused:    {"refused", "refused"},
	Locked:     {"locked", "the key of the store is locked"},
	Decrypt:    {"decrypt", "the entry cannot be decrypted"},
	Busy:       {"busy", "busy, try again later"},
	TooLarge:   {"too-large", "too large"},
	NoField:    {"no-field", "no such field"},
	Qrexec:     {"qrexec", "qrexec does not work"},
	Denied:     {"denied", "dom0 refused the call"},
	NoService:  {"no-service", "the vault has no such service"},
}

// All are the codes there are, in ascending order.
func All() []Code {
	return []Code{OK, Internal, BadRequest, NotFound, Refused, Locked, Decrypt, Busy, TooLarge, NoField, Qrexec, Denied, NoService}
}

// Of returns the code of a process's exit code; one that is not in the list is
// [Internal].
func Of(exit int) Code {
	if _, known := words[Code(exit)]; known {
		return Code(exit)
	}
	return Internal
}

// Token is the code's word for programs, such as "not-found".
func (c Code) Token() string { return words[Of(int(c))].token }

// Text is the code's word for people, a short line of ASCII.
func (c Code) Text() string { return words[Of(int(c))].text }

func (c Code) String() string { return strconv.Itoa(int(c)) + " " + c.Token() }
