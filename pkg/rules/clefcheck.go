package rules

import (
	"fmt"
	"slices"
	"strings"

	"github.com/splitvault/splitvault/pkg/clefapi"
)

// mistakes are those of one rule by itself, without path.
func (r *ClefRule) mistakes() []Problem {
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
	for key, empty := range map[string]bool{
		"methods": r.Methods != nil && len(r.Methods) == 0, "origins": r.Origins != nil && len(r.Origins) == 0,
		"accounts": r.Accounts != nil && len(r.Accounts) == 0, "chains": r.Chains != nil && len(r.Chains) == 0, "to": r.To != nil && len(r.To) == 0,
		"calls": r.Calls != nil && len(r.Calls) == 0, "content_types": r.ContentTypes != nil && len(r.ContentTypes) == 0,
	} {
		if empty {
			add(key, key+" is an empty list, which matches nothing", "leave it out to match all")
		}
	}
	for _, c := range r.Chains {
		if c < 1 {
			add("chains", fmt.Sprintf("%d is no chain", c), "1 is Ethereum's main one, 11155111 Sepolia")
		}
	}
	if wrong == nil {
		wrong = append(wrong, r.misfits()...)
	}
	return wrong
}

// misfits are keys of a rule that do not go together. They are mistakes where the
// rule would deny less, or more, than it seems to; else warnings.
func (r *ClefRule) misfits() []Problem {
	var found []Problem
	add := func(warning bool, key, text, hint string) {
		found = append(found, Problem{Line: r.source.at(key), Text: text, Hint: hint, Warning: warning})
	}
	deny := *r.Decision == Deny
	if lacking, key := r.lacking(); lacking != "" && r.Methods != nil {
		add(!deny && lacking != strings.Join(r.methods(), ", "), key,
			fmt.Sprintf("the rule never matches %s, which has nothing for %s to match", lacking, key), "write a rule of its own for it")
	}
	if key := r.conditions(); deny && key != "" {
		if plain := r.plain(); plain != "" {
			add(false, key, fmt.Sprintf("%s says nothing about %s, so the rule denies it altogether", key, plain), `add methods = ["account_sign*"], or those that are meant`)
		}
	}
	switch {
	case deny && !r.MaxValue.IsNone():
		add(false, "max_value", "max_value on deny denies the small amounts, and not the large ones", "write it in a rule that allows or asks; what no rule matches is denied")
	case deny && !r.MaxFee.IsNone():
		add(false, "max_fee", "max_fee on deny denies the small fees, and not the large ones", "write it in a rule that allows or asks; what no rule matches is denied")
	case deny && r.Origins != nil:
		add(true, "origins", "which page asks is the client qube's own word: one that was taken over names another", "name in the rules that allow or ask the pages that are meant")
	case *r.Decision == Allow && !r.MaxValue.IsNone() && r.Calls == nil:
		add(true, "max_value", "max_value counts ether only: what is called may move tokens of any worth", `add calls = ["none"], or the calls that are meant`)
	}
	if *r.Decision == Allow && !r.MaxValue.IsNone() && r.MaxFee.IsNone() && slices.Contains(r.methods(), clefapi.SignTransaction) {
		add(true, "max_value", "max_value does not count the fee, which a request can make as high as all that the account has", `add max_fee = "0.01 ether"`)
	}
	return append(found, r.ineffective()...)
}

// ineffective are keys that do nothing on the rule's decision.
func (r *ClefRule) ineffective() []Problem {
	var found []Problem
	add := func(key, text, hint string) {
		found = append(found, Problem{Line: r.source.at(key), Text: text, Hint: hint, Warning: true})
	}
	switch {
	case *r.Decision == Deny && r.Remember != nil:
		add("remember", "remember has no effect on deny", "leave it out")
	case *r.Decision == Allow && r.Rate.Count == 0 && r.Remember != nil:
		add("remember", "remember has no effect on an allow without rate, which never asks", "leave it out")
	}
	if *r.Decision != Allow && r.Rate.Count > 0 {
		add("rate", fmt.Sprintf("rate has no effect on %v", *r.Decision), "it makes an allow ask when it is exceeded")
	}
	return found
}

// lacking returns the methods that a key keeps out, as they have nothing for it.
func (r *ClefRule) lacking() (methods, key string) {
	var names []string
	for _, m := range r.methods() {
		if k := r.lacks(m); k != "" {
			names, key = append(names, m), k
		}
	}
	return strings.Join(names, ", "), key
}

// conditions returns a key that is about signatures alone.
func (r *ClefRule) conditions() string {
	switch {
	case r.Chains != nil:
		return "chains"
	case r.To != nil:
		return "to"
	case r.Calls != nil:
		return "calls"
	case r.ContentTypes != nil:
		return "content_types"
	default:
		return ""
	}
}

// plain returns the rule's methods that make no signature.
func (r *ClefRule) plain() string {
	var names []string
	for _, m := range r.methods() {
		if !clefapi.PropertiesOf(m).Signs {
			names = append(names, m)
		}
	}
	return strings.Join(names, ", ")
}

// check compares the rules with each other. All of them are complete.
func (c *Clef) check() []Problem {
	var found []Problem
	for i := range c.Rules {
		rule := &c.Rules[i]
		if c.Remember != nil && rule.Remember != nil && *rule.Remember > *c.Remember {
			found = append(found, Problem{
				Line: rule.source.at("remember"), Warning: true,
				Text: fmt.Sprintf("remember is cut to %v, the most that [clef] remember allows", *c.Remember),
				Hint: "raise that, or lower this",
			})
		}
		if hidden, is := c.hidden(i); is {
			found = append(found, hidden)
		}
		if methods := rule.prompting(); c.Backend.Network == "unix" && *rule.Decision == Allow && methods != "" {
			found = append(found, Problem{
				Line: rule.source.at("decision"), Warning: true,
				Text: fmt.Sprintf("the rule lets %s through unasked, and over its socket Clef's own prompt shows nothing of who asks", methods),
				Hint: `write decision = "ask", whose prompt says it, or have the backend over HTTP`,
			})
		}
	}
	return found
}

// prompting returns the rule's methods that Clef asks a person about, but for the
// list of accounts, which signs nothing.
func (r *ClefRule) prompting() string {
	return strings.Join(slices.DeleteFunc(r.methods(), func(m string) bool {
		return !clefapi.PropertiesOf(m).Signs && m != clefapi.New
	}), ", ")
}

// hidden finds out that rule i is never reached, because one before it matches
// all that it would.
func (c *Clef) hidden(i int) (Problem, bool) {
	later := &c.Rules[i]
	for j := range i {
		rule := &c.Rules[j]
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
