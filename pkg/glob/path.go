package glob

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Path is a pattern over names with slashes: "*" and "?" stand for what they do in
// a [Pattern], but for no slash, and a part that is "**" for any number of whole
// parts, as in .gitignore. At the end "**" is at least one: "work/**" is all that
// is in work/, and not a thing called work.
type Path struct {
	text  string
	parts []Pattern
}

// deep is the part that stands for parts.
const deep = Pattern("**")

// maxDeep bounds the time that [Path.Meets] can take.
const maxDeep = 4

// ErrPath says that a text is no pattern over names with slashes.
var ErrPath = errors.New("no pattern of a name")

// ParsePath reads a pattern.
func ParsePath(text string) (Path, error) {
	p := Path{text: text}
	many := 0
	for part := range strings.SplitSeq(text, "/") {
		switch {
		case part == "":
			return Path{}, fmt.Errorf("%q: an empty part: %w", text, ErrPath)
		case Pattern(part) == deep:
			many++
		case strings.Contains(part, "**"):
			return Path{}, fmt.Errorf("%q: ** stands alone between slashes: %w", text, ErrPath)
		}
		p.parts = append(p.parts, Pattern(part))
	}
	if many > maxDeep {
		return Path{}, fmt.Errorf("%q: more than %d times **: %w", text, maxDeep, ErrPath)
	}
	return p, nil
}

// String is the pattern as it was written.
func (p Path) String() string { return p.text }

// Match tells whether the whole name fits.
func (p Path) Match(name string) bool {
	var room [8]string // most names are no deeper, and cost no memory
	parts := room[:0]
	for part := range strings.SplitSeq(name, "/") {
		parts = append(parts, part)
	}
	return matchParts(p.parts, parts, func(part Pattern, s string) bool { return part.Match(s) })
}

// Covers tells whether every name that fits other fits p; like [Pattern.Covers] it
// may miss some.
func (p Path) Covers(other Path) bool {
	return matchParts(p.parts, other.parts, func(part, o Pattern) bool { return o != deep && part.Covers(o) })
}

// matchParts: "**" takes any number of parts, among them another's "**"; at the end
// one at least. What stands before it is matched as early as it can be, which leaves
// the most to the rest.
func matchParts[P any](parts []Pattern, name []P, fits func(Pattern, P) bool) bool {
	part, star, mark := 0, -1, 0
	for i := 0; ; {
		switch {
		case part == len(parts)-1 && parts[part] == deep:
			return i < len(name)
		case part < len(parts) && parts[part] == deep:
			star, mark = part, i
			part++
		case part < len(parts) && i < len(name) && fits(parts[part], name[i]):
			part++
			i++
		case part == len(parts) && i == len(name):
			return true
		case star >= 0 && mark < len(name): // let the last "**" take one part more
			mark++
			i, part = mark, star+1
		default:
			return false
		}
	}
}

// Meets tells whether some name fits both; it may say so of a few that none fits.
func (p Path) Meets(other Path) bool { return meetParts(p.parts, other.parts) }

func meetParts(a, b []Pattern) bool {
	switch {
	case len(a) == 0 || len(b) == 0:
		rest := slices.Concat(a, b)
		return !slices.ContainsFunc(rest, func(p Pattern) bool { return p != deep })
	case a[0] == deep:
		return meetParts(a[1:], b) || meetParts(a, b[1:])
	case b[0] == deep:
		return meetParts(a, b[1:]) || meetParts(a[1:], b)
	default:
		return a[0].Meets(b[0]) && meetParts(a[1:], b[1:])
	}
}
