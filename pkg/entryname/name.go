package entryname

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxName bounds a name, in bytes.
const MaxName = 1024

// maxComponent bounds a part of a name between slashes, in bytes: Linux NAME_MAX,
// less ".gpg" for the file.
const maxComponent = 255 - len(".gpg")

// ErrName says that a text is not the name of an entry: empty, too long, with a
// slash too many, with a part that begins with ".", not UTF-8, or with a character
// that moves the cursor or turns the direction of writing.
var ErrName = errors.New("not the name of an entry")

// Name is the name of an entry as pass has it: the path of its file below the
// store, without ".gpg". There is one name for one file: no "//", no "./".
type Name string

// Parse checks the name of an entry. Names are compared byte by byte, as the file
// system does; nothing is normalised.
//
// A part that begins with "." is refused: those are the store's own (.git,
// .gpg-id, .extensions), and `pass ls` does not show them either.
func Parse(untrusted string) (Name, error) {
	if len(untrusted) == 0 || len(untrusted) > MaxName {
		return "", fmt.Errorf("name %.80q of %d bytes: %w", untrusted, len(untrusted), ErrName)
	}
	for part := range strings.SplitSeq(untrusted, "/") {
		if len(part) == 0 || len(part) > maxComponent || part[0] == '.' {
			return "", fmt.Errorf("name %.80q, its part %.40q: %w", untrusted, part, ErrName)
		}
	}
	if !plain(untrusted) {
		return "", fmt.Errorf("name %.80q: %w", untrusted, ErrName)
	}
	return Name(untrusted), nil
}

// Scope is a directory of the store with a slash at its end, and stands for all
// entries below it; "" is the whole store.
type Scope string

// ParseScope checks a scope such as "work/".
func ParseScope(untrusted string) (Scope, error) {
	dir, found := strings.CutSuffix(untrusted, "/")
	if !found {
		return "", fmt.Errorf("scope %.80q: no slash at the end: %w", untrusted, ErrName)
	}
	if _, err := Parse(dir); err != nil {
		return "", fmt.Errorf("scope: %w", err)
	}
	return Scope(untrusted), nil
}

// Has tells whether a name lies in the scope.
func (s Scope) Has(name Name) bool { return strings.HasPrefix(string(name), string(s)) }

// plain tells whether a text can be shown on one line as it is: UTF-8 without
// control characters, line separators, and characters of format, which turn the
// direction of writing. The two joiners are in Persian names and in pictures.
func plain(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if r >= ' ' && r <= '~' {
			continue // of most names, all: the tables are slower
		}
		if r != '\u200c' && r != '\u200d' && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
			return false
		}
	}
	return true
}
