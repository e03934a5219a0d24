package policy

import (
	"fmt"
	"strings"
)

// Finding is one thing wrong with a policy directory: File is a path, Line
// counts from 1 and is 0 where the file as a whole is meant, Text says what is
// wrong in lower case, Hint what to do about it ("" = nothing to add).
type Finding struct {
	File string
	Line int
	Text string
	Hint string
}

// Error is "file:line: text", without the hint.
func (f *Finding) Error() string {
	if f.Line == 0 {
		return fmt.Sprintf("%s: %s", f.File, f.Text)
	}
	return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Text)
}

// hintFor guesses what the writer of a line that does not parse meant.
func hintFor(untrustedLine string) string {
	words := strings.FieldsFunc(untrustedLine, isSpace)
	switch {
	case strings.Contains(untrustedLine, "#"):
		return "a comment needs a line of its own"
	case strings.Contains(untrustedLine, "!"):
		return ""
	case len(words) < 5:
		return "write SERVICE ARGUMENT SOURCE TARGET ACTION; ARGUMENT is * or +NAME"
	case words[1] != "*" && !strings.HasPrefix(words[1], "+"):
		return "the second column is the argument: * for any, + for none, +NAME for one"
	case strings.Contains(words[4], ","):
		return "put spaces, not commas, between the action and its parameters"
	case strings.Contains(words[4], "="):
		return "a column is missing before the parameters"
	case words[3] == "@default" && words[4] == "allow":
		return "add target=NAME-OF-THE-VAULT"
	case words[2] == "@default":
		return "SOURCE is a qube's name or @tag:NAME"
	default:
		return ""
	}
}
