package policy

import (
	"fmt"
	"strings"
)

// Request is one call, as the daemon in dom0 hands it to the policy: names are
// sanitised already.
type Request struct {
	// Source is the calling qube's name. Calls from dom0 bypass policy and must
	// not be evaluated: they are denied here.
	Source string
	// Target is what the caller named; "" = none.
	Target string
	// Service is the RPC name, without argument.
	Service string
	// Argument has its leading "+"; "+" alone is the empty argument.
	Argument string
}

// SplitService splits what a caller named at the first "+": "x+a+b" is service
// "x" with argument "+a+b"; without a "+" the argument is "+", the empty one.
func SplitService(untrusted string) (service, argument string) {
	service, argument, _ = strings.Cut(untrusted, "+")
	return service, "+" + argument
}

// Verdict is what the policy says about a Request. The zero value denies.
type Verdict struct {
	// Action is Deny, Allow, or Ask: then Answer turns the person's answer into
	// the final verdict.
	Action Action
	// Target of an Allow: a qube's name, "dom0", or "@dispvm:NAME" for a new
	// disposable.
	Target string
	// User is the user to run the service as; "" = the target's default user.
	User string
	// Notify says that the person at the caller's GuiVM is told.
	Notify bool
	// Autostart says that a halted target may be started.
	Autostart bool
	// Choices of an Ask are what the prompt offers, sorted.
	Choices []string
	// DefaultTarget is the preselected choice; "" = none.
	DefaultTarget string
	// RequestedTarget is the request's target, normalised: a name that does not
	// exist shows as @default.
	RequestedTarget string
	// Reason of a Deny, for the log.
	Reason string
	// Rule is the deciding rule as "file:line"; "" if there is none.
	Rule string

	asked *question
}

// Evaluate judges a request against the first rule that matches, following
// parser.py of release4.3. It never returns an Allow whose target is the source.
func (p *Policy) Evaluate(sys System, r Request) Verdict {
	v := Verdict{RequestedTarget: r.Target}
	source, known := sys.Qubes[r.Source]
	switch {
	case p == nil:
		return v.deny(false, "the policy did not load: every call is refused")
	case r.Source == dom0Name:
		return v.deny(false, "calls from dom0 are no matter of policy")
	case !known:
		return v.deny(false, "unknown source qube %q", r.Source)
	case r.Service == "" || !strings.HasPrefix(r.Argument, "+"):
		return v.deny(false, "malformed service or argument: %q %q", r.Service, r.Argument)
	}
	v = p.judge(sys, r, v)
	v.Notify = v.Notify && source.GuiVM != ""
	return v
}

func (p *Policy) judge(sys System, r Request, v Verdict) Verdict {
	if r.Target == "" {
		r.Target = "@default"
	}
	requested, err := parseToken(r.Target, inRequest)
	if err != nil {
		return v.deny(false, "%w", err) // handled like a policy syntax error: logged, no popup
	}
	if requested, err = sys.verify(requested); err != nil {
		return v.deny(true, "%w", err)
	}
	v.RequestedTarget = requested.text
	for i := range p.rules {
		rule := &p.rules[i]
		if !rule.covers(sys, r) || !sys.matches(rule.target, requested, r.Source) {
			continue
		}
		v.Rule, v.User, v.Autostart, v.Notify = rule.position(), rule.user, rule.autostart, rule.notify
		switch rule.action {
		case Allow:
			return rule.allow(sys, r.Source, requested, v)
		case Ask:
			return p.ask(sys, r, rule, v)
		default:
			return v.deny(rule.notify, "denied by policy %s", v.Rule)
		}
	}
	return v.deny(true, "no matching rule found")
}

// covers compares everything but the target.
func (r *rule) covers(sys System, req Request) bool {
	return (r.service == "*" || r.service == req.Service) &&
		(r.argument == "*" || r.argument == req.Argument) &&
		sys.matches(r.source, qubeToken(req.Source), req.Source)
}

func (r *rule) position() string { return fmt.Sprintf("%s:%d", r.file, r.line) }

// redirectOr is target= if the rule has one, else t. An empty "target=" parses
// and counts as absent, as in the original.
func (r *rule) redirectOr(t token) token {
	if r.redirect != nil && r.redirect.text != "" {
		return *r.redirect
	}
	return t
}

func (r *rule) allow(sys System, source string, requested token, v Verdict) Verdict {
	target, err := sys.verify(r.redirectOr(requested))
	if err != nil {
		return v.deny(true, "%w", err)
	}
	if target.kind == defaultToken {
		return v.deny(true, "policy defines 'allow' at %s but no target is specified by caller or policy", v.Rule)
	}
	if target.kind == dispVMToken {
		if target = sys.defaultDisposable(source); target.text == "" {
			return v.deny(true, "policy defines 'allow' to @dispvm at %s but the caller has no default disposable template", v.Rule)
		}
	}
	if !r.autostart && !sys.running(target) {
		return v.deny(r.notify, "target %s is denied because it would require autostart", target.text)
	}
	return v.allowTo(target, source)
}

// running says whether a call to t needs nothing started. A new disposable
// always has to be.
func (s System) running(t token) bool {
	if t.kind == adminToken {
		return true
	}
	q, ok := s.find(t.text)
	return ok && q.Running
}

// allowTo finishes an Allow. What counts for a loopback is the resolved target.
func (v Verdict) allowTo(target token, source string) Verdict {
	if target.text == source {
		return v.deny(true, "loopback qrexec connection not supported")
	}
	v.Action, v.Target = Allow, target.text
	if target.kind == adminToken {
		v.Target = dom0Name
	}
	return v
}

// deny makes v a refusal; the requested target and the rule stay for the log.
func (v Verdict) deny(notify bool, format string, args ...any) Verdict {
	return Verdict{
		Action: Deny, Notify: notify, RequestedTarget: v.RequestedTarget, Rule: v.Rule,
		Reason: fmt.Errorf(format, args...).Error(),
	}
}
