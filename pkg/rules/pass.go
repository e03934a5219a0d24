package rules

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/splitvault/splitvault/pkg/entryname"
)

// PassFile is a rules file whose [pass] part has no mistake.
type PassFile struct {
	Path     string // "" for the built-in default
	Pass     Pass
	Warnings []Problem
}

// Pass is the [pass] part of rules.toml. Without rules everything is denied.
type Pass struct {
	// Store is where the entries are, as written: "~/.password-store". "" is
	// $PASSWORD_STORE_DIR, and that by default.
	Store string
	// SigningKeys are fingerprints of which one must have signed each .gpg-id, as
	// with PASSWORD_STORE_SIGNING_KEY, which counts where there are none.
	SigningKeys []string
	// Remember is the longest that a person's yes may last by any rule; nil for
	// what the rules say, which without a word is five minutes.
	Remember *Remember
	// Rules, the first that matches decides.
	Rules []PassRule
}

// PassRequest is one use of one entry.
type PassRequest struct {
	Qube  string
	Entry entryname.Name
	Verb  PassVerb
	Field entryname.Field // for PassField
}

// StorePath is where the entries are.
func (p *Pass) StorePath(getenv func(string) string) string {
	home := getenv("HOME")
	store := p.Store
	if store == "" {
		store = getenv("PASSWORD_STORE_DIR")
	}
	if store == "" {
		store = "~/.password-store"
	}
	for _, prefix := range []string{"~/", "%h/"} {
		if rest, found := strings.CutPrefix(store, prefix); found {
			return filepath.Join(home, rest)
		}
	}
	return store
}

// Judge applies the rules to one use of an entry.
func (p *Pass) Judge(r PassRequest) Verdict {
	for i := range p.Rules {
		if p.Rules[i].misses(r) == "" {
			return p.verdict(i, r.Qube)
		}
	}
	return Verdict{Rule: "no rule matches"}
}

func (p *Pass) verdict(i int, qube string) Verdict {
	rule := &p.Rules[i]
	v := Verdict{
		Decision: *rule.Decision, Rule: rule.source.position(), Order: i,
		ID: rule.source.id(), Notify: rule.Notify, Unlock: rule.Unlock,
	}
	if v.Decision == Allow {
		v.Rate = rule.Rate
	}
	if v.Decision == Ask || v.Rate.Count > 0 {
		v.Remember = longest(rule.Remember, p.Remember, qube, rule.Qube)
	}
	return v
}

// Listed tells whether the name of an entry may be shown: the rules do not deny
// that, nor everything that could be read of it. An entry may be shown of which
// only several rules together deny all fields.
func (p *Pass) Listed(qube string, entry entryname.Name) Verdict {
	if !p.Readable(qube, entry) {
		return Verdict{Rule: "no rule lets anything of it be read"}
	}
	return p.Judge(PassRequest{Qube: qube, Entry: entry, Verb: PassList})
}

// Readable tells whether the rules do not deny everything that could be read of
// an entry: the whole, some field, or its code.
func (p *Pass) Readable(qube string, entry entryname.Name) bool {
	for _, verb := range []PassVerb{PassShow, PassOTP} {
		if p.Judge(PassRequest{Qube: qube, Entry: entry, Verb: verb}).Decision != Deny {
			return true
		}
	}
	return p.readableField(qube, entry)
}

func (p *Pass) readableField(qube string, entry entryname.Name) bool {
	var denied []*PassRule
	for i := range p.Rules {
		rule := &p.Rules[i]
		if rule.missesEntry(PassRequest{Qube: qube, Entry: entry, Verb: PassField}) != "" {
			continue
		}
		if *rule.Decision == Deny {
			denied = append(denied, rule)
			continue
		}
		if !slices.ContainsFunc(denied, func(d *PassRule) bool { return coversAll(d.Fields, rule.Fields, fieldCovers) }) {
			return true
		}
	}
	return false
}

// Serves tells whether any rule could let the qube use anything.
func (p *Pass) Serves(qube string) bool {
	return slices.ContainsFunc(p.Rules, func(r PassRule) bool { return *r.Decision != Deny && r.Qube.Match(qube) })
}

// Asks tells whether any rule could put a question about the qube to a person:
// also an allow with a rate does so.
func (p *Pass) Asks(qube string) bool {
	return slices.ContainsFunc(p.Rules, func(r PassRule) bool {
		return r.Qube.Match(qube) && (*r.Decision == Ask || *r.Decision == Allow && r.Rate.Count > 0)
	})
}

// Notifies tells whether any rule has a use by the qube told.
func (p *Pass) Notifies(qube string) bool {
	return slices.ContainsFunc(p.Rules, func(r PassRule) bool { return r.Notify && r.Qube.Match(qube) })
}

// Rated returns the [Verdict.ID] of each rule that could let the qube use
// something up to a rate.
func (p *Pass) Rated(qube string) []string {
	var ids []string
	for i := range p.Rules {
		rule := &p.Rules[i]
		if id := rule.source.id(); *rule.Decision == Allow && rule.Rate.Count > 0 && rule.Qube.Match(qube) && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}
