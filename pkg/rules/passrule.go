package rules

import (
	"slices"

	"github.com/splitvault/splitvault/pkg/glob"
	"github.com/splitvault/splitvault/pkg/rate"
)

// PassRule is one [[pass.rule]]. A key that is left out matches anything, except
// that Verbs then is all but replace.
type PassRule struct {
	Qube     *QubeGlob   `toml:"qube"`
	Entries  []EntryGlob `toml:"entries"`
	Verbs    []PassVerb  `toml:"verbs"`
	Fields   []FieldGlob `toml:"fields"` // of the verb field; the other verbs have none
	Unlock   bool        `toml:"unlock"` // the key's passphrase may be asked for
	Decision *Decision   `toml:"decision"`
	Remember *Remember   `toml:"remember"`
	Rate     rate.Limit  `toml:"rate"`
	Notify   bool        `toml:"notify"`

	source ruleSource
}

// misses returns the first part of the rule that does not fit, "" if all do.
func (r *PassRule) misses(q PassRequest) string {
	if missed := r.missesEntry(q); missed != "" {
		return missed
	}
	if q.Verb == PassField && r.Fields != nil && !slices.ContainsFunc(r.Fields, func(f FieldGlob) bool { return f.Match(string(q.Field)) }) {
		return "fields"
	}
	return ""
}

// missesEntry is misses for any field.
func (r *PassRule) missesEntry(q PassRequest) string {
	switch {
	case !r.Qube.Match(q.Qube):
		return "qube"
	case r.Entries != nil && !slices.ContainsFunc(r.Entries, func(e EntryGlob) bool { return e.Match(string(q.Entry)) }):
		return "entries"
	case !r.hasVerb(q.Verb):
		return "verbs"
	default:
		return ""
	}
}

// hasVerb is membership in [PassRule.verbs], asked three times for each name of a list.
func (r *PassRule) hasVerb(v PassVerb) bool {
	if r.Verbs != nil {
		return slices.Contains(r.Verbs, v)
	}
	switch v {
	case PassList, PassFind, PassField, PassOTP, PassShow, PassInsert, PassGenerate:
		return true
	default:
		return false
	}
}

// verbs applies the default: all but replace, which destroys something.
func (r *PassRule) verbs() []PassVerb {
	if r.Verbs != nil {
		return r.Verbs
	}
	all := PassVerbs()
	return all[:len(all)-1]
}

// covers tells whether r matches every use that other matches.
func (r *PassRule) covers(other *PassRule) bool {
	return !slices.ContainsFunc(other.verbs(), func(v PassVerb) bool { return !r.coversVerb(v, other) })
}

func (r *PassRule) coversVerb(v PassVerb, other *PassRule) bool {
	return slices.Contains(r.verbs(), v) && r.Qube.Covers(other.Qube.Pattern) &&
		coversAll(r.Entries, other.Entries, func(a, b EntryGlob) bool { return a.Covers(b.Path) }) &&
		(v != PassField || coversAll(r.Fields, other.Fields, fieldCovers))
}

// meets tells whether some qube and entry fit both rules.
func (r *PassRule) meets(other *PassRule) bool {
	return r.Qube.Meets(other.Qube.Pattern) &&
		meetsAny(r.Entries, other.Entries, func(a, b EntryGlob) bool { return a.Meets(b.Path) })
}

func fieldCovers(a, b FieldGlob) bool { return a.Covers(b.Pattern) }

// anyLine tells whether the rule matches fields that give a line whatever it is.
func (r *PassRule) anyLine() bool {
	return r.Fields == nil || slices.ContainsFunc(r.Fields, func(f FieldGlob) bool { return f.Meets(glob.Pattern("line.*")) })
}
