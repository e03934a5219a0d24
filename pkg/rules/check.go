package rules

import (
	"fmt"
	"slices"
	"strings"
)

// mistakes are those of one rule by itself, without path.
func (r *SSHRule) mistakes() []Problem {
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
	if r.Keys != nil && len(r.Keys) == 0 {
		add("keys", "keys is an empty list, which matches no key", "leave it out to match all")
	}
	if r.Purpose != nil && len(r.Purpose) == 0 {
		add("purpose", "purpose is an empty list, which matches nothing", "leave it out for login and sshsig")
	}
	if r.Users != nil && len(r.Users) == 0 {
		add("users", "users is an empty list, which matches no login", "leave it out to match all")
	}
	if r.Hosts != nil && len(r.Hosts) == 0 {
		add("hosts", "hosts is an empty list, which matches no login", "leave it out to match all")
	}
	if wrong == nil {
		wrong = append(wrong, r.misfits()...)
	}
	return wrong
}

// misfits are keys of a rule that do not go together. They are mistakes where the
// rule would deny less than it seems to, or nothing at all; else warnings.
func (r *SSHRule) misfits() []Problem {
	var found []Problem
	add := func(warning bool, key, text, hint string) {
		found = append(found, Problem{Line: r.source.at(key), Text: text, Hint: hint, Warning: warning})
	}
	if key, others := r.withoutDestination(); others != "" {
		text := fmt.Sprintf("%s is for logins only, the rule never matches %s", key, others)
		add(*r.Decision != Deny && len(r.purposes()) > 0, key, text, "write a rule of its own for these purposes")
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

// withoutDestination returns which of users and hosts the rule has, and the
// purposes that it names although they have neither user nor host.
func (r *SSHRule) withoutDestination() (key, purposes string) {
	switch {
	case r.Hosts != nil:
		key = "hosts"
	case r.Users != nil:
		key = "users"
	default:
		return "", ""
	}
	var names []string
	for _, p := range r.Purpose {
		if !p.isLogin() {
			names = append(names, string(p.Pattern))
		}
	}
	return key, strings.Join(names, ", ")
}

// check compares the rules with each other. All of them are complete.
func (s *SSH) check() []Problem {
	var found []Problem
	for i := range s.Rules {
		rule := &s.Rules[i]
		if s.Remember != nil && rule.Remember != nil && *rule.Remember > *s.Remember {
			found = append(found, Problem{
				Line: rule.source.at("remember"), Warning: true,
				Text: fmt.Sprintf("remember is cut to %v, the most that [ssh] remember allows", *s.Remember),
				Hint: "raise that, or lower this",
			})
		}
		if p, hidden := s.hidden(i); hidden {
			found = append(found, p)
			continue
		}
		found = append(found, s.evaded(i)...)
	}
	return found
}

// hidden finds out that rule i is never reached, because one before it matches
// all that it would.
func (s *SSH) hidden(i int) (Problem, bool) {
	later := &s.Rules[i]
	for j := range i {
		rule := &s.Rules[j]
		if !rule.covers(later) {
			continue
		}
		p := Problem{
			Line: later.source.line, Warning: true, Hint: "remove it",
			Text: fmt.Sprintf("the rule is never reached: line %d matches all that it does, and says %v", rule.source.line, *rule.Decision),
		}
		if *later.Decision != *rule.Decision {
			p.Hint = fmt.Sprintf("write it before line %d, or remove it", rule.source.line)
		}
		return p, true
	}
	return Problem{}, false
}

// evaded finds strict rules for some hosts before rule i, which is more generous
// and for all hosts: a client that does not say where it logs in to, as it is
// free to, goes by rule i. That is a mistake unless a person is asked then.
func (s *SSH) evaded(i int) []Problem {
	var found []Problem
	later := &s.Rules[i]
	for j := range i {
		rule := &s.Rules[j]
		if rule.Hosts == nil || later.Hosts != nil || *later.Decision <= *rule.Decision || !s.opens(rule, i) {
			continue
		}
		found = append(found, Problem{
			Line: rule.source.at("hosts"), Warning: *later.Decision == Ask,
			Text: fmt.Sprintf("%v for these hosts is evaded by a client that hides its destination: line %d then says %v",
				*rule.Decision, later.source.line, *later.Decision),
			Hint: fmt.Sprintf("name in line %d the hosts that are meant", later.source.line),
		})
	}
	return found
}

// opens tells whether rule i lets through what rule before it would not, but for
// the host, and no other rule before it that is as strict takes all of that.
func (s *SSH) opens(rule *SSHRule, i int) bool {
	later := &s.Rules[i]
	if !rule.meetsElsewhere(later) {
		return false
	}
	anywhere := *rule
	anywhere.Hosts = nil
	return slices.ContainsFunc(rule.purposes(), func(p PurposePattern) bool {
		if !slices.Contains(later.purposes(), p) {
			return false
		}
		return !slices.ContainsFunc(s.Rules[:i], func(k SSHRule) bool {
			return *k.Decision < *later.Decision && (k.coversPart(p, &anywhere) || k.coversPart(p, later))
		})
	})
}
