package rules

import (
	"errors"
	"fmt"
	"strings"

	"github.com/splitvault/splitvault/pkg/entryname"
	"github.com/splitvault/splitvault/pkg/glob"
)

// EntryGlob is a pattern over the names of entries: "work/**".
type EntryGlob struct{ glob.Path }

// UnmarshalText accepts what can match the name of an entry.
func (e *EntryGlob) UnmarshalText(text []byte) error {
	s := string(text)
	p, err := glob.ParsePath(s)
	switch {
	case strings.HasSuffix(s, ".gpg"):
		return fmt.Errorf("%q: write the name without .gpg, as `pass ls` shows it", s)
	case strings.HasSuffix(s, "/"):
		return fmt.Errorf("%q matches no entry: for all that is in it write %q", s, s+"**")
	case err != nil:
		return fmt.Errorf("%w: write \"work/mail\", \"work/*\", or \"work/**\" for all that is in work", err)
	}
	if _, err := entryname.Parse(strings.ReplaceAll(s, "?", "x")); err != nil {
		return fmt.Errorf("%q can match no entry: %w", s, err)
	}
	e.Path = p
	return nil
}

// PassVerb is what a qube wants of an entry.
type PassVerb string

// The verbs. Replace is insert or generate where the entry is there already.
const (
	PassList     PassVerb = "list"
	PassFind     PassVerb = "find"
	PassField    PassVerb = "field"
	PassOTP      PassVerb = "otp"
	PassShow     PassVerb = "show"
	PassInsert   PassVerb = "insert"
	PassGenerate PassVerb = "generate"
	PassReplace  PassVerb = "replace"
)

// PassVerbs are all of them.
func PassVerbs() []PassVerb {
	return []PassVerb{PassList, PassFind, PassField, PassOTP, PassShow, PassInsert, PassGenerate, PassReplace}
}

// FieldGlob is a pattern over the names of fields.
type FieldGlob struct{ glob.Pattern }

// UnmarshalText accepts a field's one name, in which "*" and "?" may stand.
func (f *FieldGlob) UnmarshalText(text []byte) error {
	s := string(text)
	if s == "" {
		return errEmpty
	}
	if field, err := entryname.FieldOf(s); err == nil && string(field) != s {
		return fmt.Errorf("%q is no field: write %q", s, field)
	}
	if s == string(entryname.OTP) {
		return errors.New("\"otp\" is a verb: write verbs = [\"otp\"]")
	}
	plain := strings.NewReplacer("*", "2", "?", "2").Replace(s)
	if _, err := entryname.ParseField(plain); err != nil {
		return fmt.Errorf("%q is no field: write \"password\", \"login\", \"url\", \"line.N\", or the key of a line in lower case", s)
	}
	f.Pattern = glob.Pattern(s)
	return nil
}

// String returns the pattern as written.
func (f FieldGlob) String() string { return string(f.Pattern) }
