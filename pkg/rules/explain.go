package rules

import (
	"fmt"
	"strings"
)

// Step is one rule's part in a decision.
type Step struct {
	Rule string // "rules.toml:12"
	Line int    // 0 for the built-in default
	Text string // as it stands in the file
	// Missed is the key of the rule that does not fit, "" for the deciding rule.
	Missed string
	Why    string // the same in words
}

// Explain is [SSH.Judge] with all rules up to the deciding one, which is the
// last; if none decides, it is all rules.
func (s *SSH) Explain(r SSHRequest) (Verdict, []Step) {
	var steps []Step
	for i := range s.Rules {
		rule := &s.Rules[i]
		_, missed := rule.matches(r)
		steps = append(steps, Step{
			Rule: rule.source.position(), Line: rule.source.line, Text: rule.source.text,
			Missed: missed, Why: rule.why(missed, r),
		})
		if missed == "" {
			break
		}
	}
	return s.Judge(r), steps
}

// why says what else the rule is for.
func (r *SSHRule) why(missed string, q SSHRequest) string {
	switch missed {
	case "qube":
		return "it is for the qube " + r.Qube.String()
	case "agent":
		if r.Agent.Pattern == "" {
			return "it is for calls that name no agent"
		}
		return "it is for the agent " + string(r.Agent.Pattern)
	case "keys":
		if r.plainKeys {
			return "it is for keys that are no certificate"
		}
		return "it is for other keys"
	case "purpose":
		return "it is for " + join(r.purposes(), PurposePattern.String)
	case "users":
		return "it is for the users " + join(r.Users, UserGlob.String)
	case "hosts":
		hosts := "it is for the hosts " + join(r.Hosts, HostGlob.String)
		if len(q.Hosts) == 0 {
			hosts += ", and the destination is not known"
		}
		return hosts
	default:
		return "it decides"
	}
}

func join[T any](list []T, text func(T) string) string {
	texts := make([]string, 0, len(list))
	for _, t := range list {
		texts = append(texts, text(t))
	}
	return strings.Join(texts, ", ")
}

// UnknownHosts warns of rules with hosts of which the vault has no host key, so
// that no login is ever believed to go there. has tells that of a normalised
// name; patterns are not judged.
func (f *File) UnknownHosts(has func(name string) bool) []Problem {
	var found []Problem
	for i := range f.SSH.Rules {
		rule := &f.SSH.Rules[i]
		for _, h := range rule.Hosts {
			if h.Plain() && !has(h.String()) {
				found = append(found, Problem{
					Path: f.Path, Line: rule.source.at("hosts"), Warning: true,
					Text: fmt.Sprintf("this qube's known hosts have no key of %s, so the rule never matches it", h),
					Hint: "add its line to ~/.ssh/known_hosts here",
				})
			}
		}
	}
	return found
}
