package rules

import (
	"errors"
	"fmt"

	"github.com/splitvault/splitvault/pkg/glob"
)

var errEmpty = errors.New("is empty: leave the key out to match anything")

// QubeGlob is a pattern over the names of qubes.
type QubeGlob struct{ glob.Pattern }

// UnmarshalText accepts what can match a qube's name: letters, digits, "_", ".",
// "-", "*" and "?".
func (q *QubeGlob) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		return errEmpty
	}
	for _, c := range text {
		if !nameByte(c) && c != '*' && c != '?' {
			if c == '@' {
				return fmt.Errorf("%q: tags are for dom0's policy; here, name qubes: \"work\" or \"work-*\"", text)
			}
			return fmt.Errorf("%q can match no qube: names are letters, digits, _ . -", text)
		}
	}
	if c := text[0]; nameByte(c) && (c < 'A' || c == '_') {
		return fmt.Errorf("%q can match no qube: names begin with a letter", text)
	}
	q.Pattern = glob.Pattern(text)
	return nil
}

// String returns the pattern as written.
func (q QubeGlob) String() string { return string(q.Pattern) }

// AgentGlob is a pattern over agent names; "" is the agent of a call without one.
type AgentGlob struct{ glob.Pattern }

// UnmarshalText accepts what can match an agent's name, and the empty text, for
// which "default" is another name.
func (a *AgentGlob) UnmarshalText(text []byte) error {
	for _, c := range text {
		if !nameByte(c) && c != '*' && c != '?' {
			return fmt.Errorf("%q can match no agent: names are letters, digits, _ . -", text)
		}
	}
	if a.Pattern = glob.Pattern(text); a.Pattern == glob.Pattern(DefaultAgent) {
		a.Pattern = ""
	}
	return nil
}

func nameByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '.' || c == '-'
}
