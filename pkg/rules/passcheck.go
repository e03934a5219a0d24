package rules

import (
	"fmt"
	"slices"
	"strings"
)

// mistakes are those of one rule by itself, without path.
func (r *PassRule) mistakes() []Problem {
	var wrong []Problem
	add := func(key, text, hint string) {
		wrong = append(wrong, Problem{Line: r.source.at(key), Text: text, Hint: hint})
	}
	if r.Qube == nil {
		add("qube", "the rule names no qube", `add qube = "work", or qube = "*" for all`)
	}
	if r.Decision == nil {
		add("decision", "the rule decides nothing", `add decision = "allow", "ask" or "deny"`)
	}
	if r.Entries != nil && len(r.Entries) == 0 {
		add("entries", "entries is an empty list, which matches no entry", "leave it out to match all")
	}
	if r.Verbs != nil && len(r.Verbs) == 0 {
		add("verbs", "verbs is an empty list, which matches nothing", "leave it out for all but replace")
	}
	for _, v := range r.Verbs {
		if !slices.Contains(PassVerbs(), v) {
			add("verbs", fmt.Sprintf("%q is no verb", string(v)), "list, find, field, otp, show, insert, generate and replace are")
		}
	}
	if r.Fields != nil && len(r.Fields) == 0 {
		add("fields", "fields is an empty list, which matches no field", "leave it out to match all")
	}
	if wrong == nil {
		wrong = append(wrong, r.misfits()...)
	}
	return wrong
}

// misfits are keys of a rule that do not go together. They are mistakes where the
// rule would deny less than it seems to, or nothing at all; else warnings.
func (r *PassRule) misfits() []Problem {
	var found []Problem
	add := func(warning bool, key, text, hint string) {
		found = append(found, Problem{Line: r.source.at(key), Text: text, Hint: hint, Warning: warning})
	}
	has := func(v PassVerb) bool { return slices.Contains(r.verbs(), v) }
	switch {
	case r.Fields == nil:
	case r.Verbs == nil:
		add(false, "fields", fmt.Sprintf("the rule says %v to all of these entries, and not only to the fields: the other verbs have no fields", *r.Decision),
			`add verbs = ["field"], or leave fields out`)
	case !has(PassField):
		add(*r.Decision == Deny || !has(PassShow), "fields", "fields is for the verb field, which the rule does not have",
			`add "field" to its verbs, or leave fields out`)
	case *r.Decision != Deny && has(PassShow):
		add(true, "fields", "show gives the whole entry, whatever fields says", "leave show out of verbs, or fields out of the rule")
	}
	if readable := has(PassShow) || has(PassField) || has(PassOTP); r.Unlock && (*r.Decision == Deny || !readable && !has(PassFind)) {
		add(true, "unlock", "unlock has no effect: nothing is decrypted by this rule", "leave it out")
	}
	switch {
	case *r.Decision == Deny && r.Remember != nil:
		add(true, "remember", "remember has no effect on deny", "leave it out")
	case *r.Decision == Allow && r.Rate.Count == 0 && r.Remember != nil:
		add(true, "remember", "remember has no effect on an allow without rate, which never asks", "leave it out")
	}
	if *r.Decision != Allow && r.Rate.Count > 0 {
		add(true, "rate", fmt.Sprintf("rate has no effect on %v", *r.Decision), "it makes an allow ask when it is exceeded")
	}
	return found
}

// check compares the rules with each other. All of them are complete.
func (p *Pass) check() []Problem {
	var found []Problem
	for i := range p.Rules {
		rule := &p.Rules[i]
		if p.Remember != nil && rule.Remember != nil && *rule.Remember > *p.Remember {
			found = append(found, Problem{
				Line: rule.source.at("remember"), Warning: true,
				Text: fmt.Sprintf("remember is cut to %v, the most that [pass] remember allows", *p.Remember),
				Hint: "raise that, or lower this",
			})
		}
		if hidden, is := p.hidden(i); is {
			found = append(found, hidden)
			continue
		}
		found = append(found, p.evaded(i)...)
		found = append(found, p.listsInVain(i)...)
	}
	return found
}

// hidden finds out that rule i is never reached, because one before it matches
// all that it would.
func (p *Pass) hidden(i int) (Problem, bool) {
	later := &p.Rules[i]
	for j := range i {
		rule := &p.Rules[j]
		if !rule.covers(later) {
			continue
		}
		problem := Problem{
			Line: later.source.line, Warning: true, Hint: "remove it",
			Text: fmt.Sprintf("the rule is never reached: line %d matches all that it does, and says %v", rule.source.line, *rule.Decision),
		}
		if *later.Decision != *rule.Decision {
			problem.Hint = fmt.Sprintf("write it before line %d, or remove it", rule.source.line)
		}
		return problem, true
	}
	return Problem{}, false
}

// evaded finds strict rules for some fields before rule i, which gives the same
// another way: the whole entry, or any of its lines.
func (p *Pass) evaded(i int) []Problem {
	later := &p.Rules[i]
	var ways []string
	for j := range i {
		rule := &p.Rules[j]
		if rule.Fields == nil || *later.Decision <= *rule.Decision || !slices.Contains(rule.verbs(), PassField) || !rule.meets(later) {
			continue
		}
		if ways = p.waysAround(rule, i); len(ways) == 0 {
			continue
		}
		return []Problem{{
			Line: rule.source.at("fields"), Warning: *later.Decision == Ask,
			Text: fmt.Sprintf("%v for these fields is evaded: line %d says %v to %s, which gives them too",
				*rule.Decision, later.source.line, *later.Decision, strings.Join(ways, " and ")),
			Hint: fmt.Sprintf("deny that here too (verbs show, fields \"line.*\"), or name in line %d the fields that are meant", later.source.line),
		}}
	}
	return nil
}

func (p *Pass) waysAround(rule *PassRule, i int) []string {
	later := &p.Rules[i]
	stopped := func(v PassVerb, fields []FieldGlob) bool {
		one := *later
		one.Fields = fields
		narrow := *rule
		narrow.Fields = fields
		return slices.ContainsFunc(p.Rules[:i], func(k PassRule) bool {
			return *k.Decision < *later.Decision && (k.coversVerb(v, &one) || k.coversVerb(v, &narrow))
		})
	}
	var ways []string
	if slices.Contains(later.verbs(), PassShow) && !stopped(PassShow, nil) {
		ways = append(ways, "show")
	}
	lines := []FieldGlob{{"line.*"}}
	if slices.Contains(later.verbs(), PassField) && later.anyLine() && !stopped(PassField, lines) {
		ways = append(ways, "line.N")
	}
	return ways
}

// listsInVain: names are listed only if something of their entries can be read.
func (p *Pass) listsInVain(i int) []Problem {
	rule := &p.Rules[i]
	if *rule.Decision == Deny || rule.Verbs == nil || !slices.Contains(rule.Verbs, PassList) {
		return nil
	}
	reads := func(r PassRule) bool {
		return *r.Decision != Deny && r.meets(rule) &&
			slices.ContainsFunc(r.verbs(), func(v PassVerb) bool { return v == PassShow || v == PassField || v == PassOTP })
	}
	if slices.ContainsFunc(p.Rules, reads) {
		return nil
	}
	return []Problem{{
		Line: rule.source.at("verbs"), Warning: true,
		Text: "the rule lists nothing: only names of entries are listed of which the qube may read something",
		Hint: `add "show", "field" or "otp" to its verbs, or another rule with one`,
	}}
}
