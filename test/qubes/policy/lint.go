package policy

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Lint reads directories as Load does and returns everything that is wrong or
// suspicious in them, by file and line: all that makes the load fail, and what
// dom0 accepts in silence although it never does what the writer meant (names
// that no qube can have, commas instead of spaces, rules that nothing can
// reach, prompts with nothing to choose, …). Lint of a directory that does not
// load is never empty.
func Lint(dirs ...string) []*Finding {
	l := load(dirs)
	for _, dir := range dirs {
		l.lintNames(dir)
	}
	for i := range l.rules {
		l.lintRule(&l.rules[i])
		l.lintUnreachable(i)
		l.lintNothingToChoose(&l.rules[i])
	}
	slices.SortStableFunc(l.findings, func(a, b *Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	return l.findings
}

// lintNames looks for files that are ignored, or that dom0's tools cannot edit.
func (l *loader) lintNames(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return // reported by load
	}
	for _, entry := range entries {
		name, path := entry.Name(), filepath.Join(dir, entry.Name())
		stem, isPolicy := strings.CutSuffix(name, suffix)
		numbered := len(name) > 2 && strings.Trim(name[:2], "0123456789") == "" && name[2] == '-'
		switch {
		case isPolicy && isFileName(name) && strings.Contains(stem, "."):
			l.fail(path, 0, "qubes-policy and qubes-policy-editor do not handle a name with a second dot", "rename it")
		case !isPolicy && numbered && !entry.IsDir():
			l.fail(path, 0, "is ignored: its name does not end in .policy", "rename it, or remove it")
		}
	}
}

// lintRule looks at one rule by itself.
func (l *loader) lintRule(r *rule) {
	report := func(text, hint string) { l.fail(r.file, r.line, text, hint) }
	if neverCalls(r.source) {
		report(fmt.Sprintf("%s as SOURCE never matches a running disposable", r.source.text),
			"write @tag:disp-created-by-NAME or @type:DispVM")
	}
	for _, t := range []*token{&r.source, &r.target, r.redirect, r.preselect} {
		if t != nil {
			l.lintToken(r, t)
		}
	}
	if r.user != "" && !isServiceName(r.user) {
		report(fmt.Sprintf("no user can be called %q", r.user), hintForName(r.user))
	}
	if r.redirect != nil && r.redirect.text == "" || r.preselect != nil && r.preselect.text == "" {
		report("empty target= or default_target=", "name a qube, or leave the parameter out")
	}
}

func (l *loader) lintToken(r *rule, t *token) {
	report := func(text, hint string) { l.fail(r.file, r.line, text, hint) }
	switch t.kind {
	case nameToken:
		uuid, isRef := strings.CutPrefix(t.text, uuidPrefix)
		reserved := t.text == "default" || t.text == "none"
		possible := isQubeName(t.text) && !reserved || isRef && isUUID(uuid)
		if t.text != "" && !possible {
			report(fmt.Sprintf("no qube can be called %q", t.text), hintForName(t.text))
		}
	case dispTemplateToken:
		if !isQubeName(strings.TrimPrefix(t.value, uuidPrefix)) && !isUUID(strings.TrimPrefix(t.value, uuidPrefix)) {
			report(fmt.Sprintf("no qube can be called %q", t.value), hintForName(t.value))
		}
	case typeToken:
		if !slices.Contains([]string{"AdminVM", "AppVM", "TemplateVM", "StandaloneVM", "DispVM", "RemoteVM"}, t.value) {
			report(fmt.Sprintf("no qube has the type %q", t.value),
				"the types are AppVM, TemplateVM, StandaloneVM, DispVM, RemoteVM and AdminVM")
		}
	case tagToken, dispTagToken:
		if !isServiceName(t.value) {
			report(fmt.Sprintf("no qube can have the tag %q", t.value), hintForName(t.value))
		}
	default: // the keywords need no check
	}
}

func hintForName(name string) string {
	switch {
	case strings.Contains(name, ","):
		return "parameters are separated by spaces; the comma became part of the name"
	case name == "default":
		return "write @default"
	case strings.HasPrefix(name, "$"):
		return "write @ instead of $"
	default:
		return "look for a typing error; this never matches"
	}
}

// lintUnreachable reports rule i if an earlier rule of its file matches
// everything that it matches. Between files, hiding a packaged default (60 and
// up) is how policy is meant to be overridden; below that it is a mistake.
func (l *loader) lintUnreachable(i int) {
	r := &l.rules[i]
	for j := range i {
		earlier := &l.rules[j]
		if l.tops[i] != l.tops[j] && l.tops[i] >= "60" {
			continue
		}
		if !earlier.hides(r) || earlier.offers(r) {
			continue
		}
		l.fail(r.file, r.line, "is never reached: "+earlier.position()+" matches first",
			"the first rule that matches decides; put the narrower rule first")
		return
	}
}

// hides says that every request which other matches is matched by r too.
func (r *rule) hides(other *rule) bool {
	return (r.service == "*" || r.service == other.service) &&
		(r.argument == "*" || r.argument == other.argument) &&
		includes(r.source, other.source) && includes(r.target, other.target)
}

// offers says that other, though never reached, adds a choice to r's prompt.
func (r *rule) offers(other *rule) bool {
	return r.action == Ask && r.redirect == nil && other.action != Deny &&
		!includes(r.target, other.redirectOr(other.target))
}

// includes says that wide covers all that narrow covers, on any system.
func includes(wide, narrow token) bool {
	switch wide.kind {
	case wildcardToken:
		return true
	case anyVMToken:
		return narrow.kind != wildcardToken && narrow.kind != adminToken
	default:
		return wide == narrow
	}
}

// lintNothingToChoose reports an ask rule to which no rule can supply a choice:
// @default stands for no qube, and default_target= only preselects.
func (l *loader) lintNothingToChoose(r *rule) {
	if r.action != Ask || r.redirect != nil || neverCalls(r.source) {
		return
	}
	for i := range l.rules {
		other := &l.rules[i]
		if other.action != Deny && other.mayMeet(r) && other.redirectOr(other.target).kind != defaultToken {
			return
		}
	}
	l.fail(r.file, r.line, "asks with nothing to choose from, which is a refusal",
		"add target=NAME-OF-THE-VAULT beside default_target=")
}

// neverCalls says that a SOURCE parses but matches no qube.
func neverCalls(t token) bool { return t.kind == dispTemplateToken || t.kind == dispTagToken }

// mayMeet says that some request could have the service, argument and source of
// both rules.
func (r *rule) mayMeet(other *rule) bool {
	meet := func(a, b string) bool { return a == "*" || b == "*" || a == b }
	if !meet(r.service, other.service) || !meet(r.argument, other.argument) {
		return false
	}
	a, b := r.source, other.source
	if neverCalls(a) || neverCalls(b) {
		return false
	}
	named := a.kind == nameToken && b.kind == nameToken &&
		strings.HasPrefix(a.text, uuidPrefix) == strings.HasPrefix(b.text, uuidPrefix)
	return !named || a == b
}
