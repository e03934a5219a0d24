package policy

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// ErrNotAChoice is the error of Answer when the answer was not offered.
var ErrNotAChoice = errors.New("not among the choices")

// question is what Answer needs to know of an Ask.
type question struct {
	sys    System
	source string
	notify bool // for "denied by the user"
}

// ask collects the choices of a prompt (parser.py, Ask.evaluate).
func (p *Policy) ask(sys System, req Request, r *rule, v Verdict) Verdict {
	choices := map[string]bool{}
	if r.redirect != nil {
		choices[sys.named(*r.redirect).text] = true // it need not exist
	} else {
		var err error
		if choices, err = p.collect(sys, req); err != nil {
			return v.deny(false, "%w", err)
		}
	}
	if !r.autostart {
		maps.DeleteFunc(choices, func(text string, _ bool) bool {
			t, err := parseToken(text, inRedirect)
			return err != nil || !sys.running(t)
		})
	}
	if len(choices) == 0 {
		return v.deny(true, "policy defines 'ask' at %s but no target is available to choose from", v.Rule)
	}
	if sys.Qubes[req.Source].GuiVM == "" {
		return v.deny(false, "denied by the user %s (the source has no GuiVM to ask in)", v.Rule)
	}
	v.Action, v.Choices = Ask, slices.Sorted(maps.Keys(choices))
	if r.preselect != nil {
		if d := sys.preselected(*r.preselect, req.Source); choices[d] {
			v.DefaultTarget = d
		}
	}
	v.asked = &question{sys: sys, source: req.Source, notify: r.notify}
	return v
}

// named replaces a UUID of an existing qube by its name.
func (s System) named(t token) token {
	if t.kind == nameToken {
		if q, ok := s.find(t.text); ok {
			return qubeToken(q.Name)
		}
	}
	return t
}

func (s System) preselected(t token, source string) string {
	switch t = s.named(t); t.kind {
	case dispVMToken:
		return s.defaultDisposable(source).text
	case adminToken:
		return dom0Name
	default:
		return t.text
	}
}

// collect gathers what a prompt offers when the rule names no target: it walks
// all rules for this service, argument and source backwards, whatever their
// TARGET column; deny takes away, the others add (parser.py,
// collect_targets_for_ask).
func (p *Policy) collect(sys System, req Request) (map[string]bool, error) {
	choices := map[string]bool{}
	for i := range slices.Backward(p.rules) {
		r := &p.rules[i]
		if !r.covers(sys, req) {
			continue
		}
		tokens, err := sys.expand(r.redirectOr(r.target))
		if err != nil {
			return nil, fmt.Errorf("collecting choices at %s: %w", r.position(), err)
		}
		for _, t := range tokens {
			if r.action == Deny {
				delete(choices, t.text)
			} else {
				choices[t.text] = true
			}
		}
	}
	if choices["@dispvm"] {
		delete(choices, "@dispvm")
		if d := sys.defaultDisposable(req.Source); d.text != "" {
			choices[d.text] = true
		}
	}
	if choices["@adminvm"] {
		delete(choices, "@adminvm")
		choices[dom0Name] = true
	}
	delete(choices, req.Source)
	maps.DeleteFunc(choices, func(text string, _ bool) bool { return sys.Qubes[text].Internal })
	return choices, nil
}

// expand lists the existing targets that a TARGET column or target= stands for.
func (s System) expand(t token) ([]token, error) {
	switch t.kind {
	case nameToken:
		if q, ok := s.find(t.text); ok {
			return []token{qubeToken(q.Name)}, nil
		}
		return nil, nil
	case adminToken, dispVMToken:
		return []token{t}, nil
	case dispTemplateToken:
		q, ok := s.find(t.value)
		if !ok { // the original dies of a KeyError here, which refuses the call
			return nil, fmt.Errorf("%q does not exist", t.value)
		}
		if !q.TemplateForDispVMs {
			return nil, nil
		}
		return []token{dispTemplate(q.Name)}, nil
	case defaultToken:
		return nil, nil
	default:
		return s.expandAll(t), nil
	}
}

func (s System) expandAll(t token) []token {
	var tokens []token
	for name, q := range s.Qubes {
		all := t.kind == wildcardToken || t.kind == anyVMToken && name != dom0Name
		grouped := t.kind == typeToken || t.kind == tagToken
		if all || grouped && s.belongs(t, q) {
			tokens = append(tokens, qubeToken(name))
		}
		templates := t.kind == wildcardToken || t.kind == anyVMToken || t.kind == dispTagToken && hasTag(q, t.value)
		if templates && q.TemplateForDispVMs {
			tokens = append(tokens, dispTemplate(name))
		}
	}
	if t.kind == wildcardToken || t.kind == anyVMToken {
		tokens = append(tokens, token{dispVMToken, "@dispvm", ""})
	}
	return tokens
}

// Answer turns a person's answer to an Ask into the final verdict: target is
// the choice, or "" for no. A target that was not offered gives ErrNotAChoice;
// a choice that cannot be called (the source itself, a qube that does not
// exist) gives a Deny without error. Whatever the error, the verdict is Allow
// only if the call may go on.
func (v Verdict) Answer(target string) (Verdict, error) {
	q := v.asked
	if v.Action != Ask || q == nil {
		return v.deny(false, "answer to a question that was not asked"), errors.New("answering a verdict that is no ask")
	}
	if target == "" {
		return v.deny(q.notify, "denied by the user %s", v.Rule), nil
	}
	if !slices.Contains(v.Choices, target) {
		return v.deny(true, "target %q is not a valid choice", target), fmt.Errorf("answering %q: %w", target, ErrNotAChoice)
	}
	chosen, err := parseToken(target, inRedirect)
	if err != nil {
		return v.deny(true, "%w", err), nil
	}
	if chosen, err = q.sys.verify(chosen); err != nil {
		return v.deny(true, "%w", err), nil
	}
	if chosen.kind == defaultToken || chosen.kind == dispVMToken {
		return v.deny(true, "target %q cannot be started", target), nil
	}
	final := Verdict{
		User: v.User, Notify: v.Notify, Autostart: v.Autostart,
		RequestedTarget: v.RequestedTarget, Rule: v.Rule,
	}
	return final.allowTo(chosen, q.source), nil
}
