package rules

import (
	"slices"

	"github.com/splitvault/splitvault/pkg/glob"
)

// covers tells whether r matches every use that other matches, so that other
// behind it decides nothing. It may miss cases in which only several patterns
// together cover one.
func (r *SSHRule) covers(other *SSHRule) bool {
	return !slices.ContainsFunc(other.purposes(), func(p PurposePattern) bool { return !r.coversPart(p, other) })
}

// coversPart is covers for one purpose of other.
func (r *SSHRule) coversPart(p PurposePattern, other *SSHRule) bool {
	return r.Qube.Covers(other.Qube.Pattern) &&
		coversAll(agentGlobs(r), agentGlobs(other), glob.Pattern.Covers) &&
		coversAll(r.Keys, other.Keys, KeyPattern.covers) &&
		r.coversUse(p, other, false)
}

// coversUse is coversPart as far as purpose, users and hosts go. Where the host
// is given both rules match it.
func (r *SSHRule) coversUse(p PurposePattern, other *SSHRule, hostGiven bool) bool {
	return slices.ContainsFunc(r.purposes(), func(own PurposePattern) bool { return own.Covers(p.Pattern) }) &&
		coversAll(r.Users, other.Users, func(a, b UserGlob) bool { return a.Covers(b.Pattern) }) &&
		(hostGiven || coversAll(r.Hosts, other.Hosts, func(a, b HostGlob) bool { return a.Covers(b.Pattern) }))
}

// meetsElsewhere tells whether some login fits both rules but for their hosts.
func (r *SSHRule) meetsElsewhere(other *SSHRule) bool {
	return r.Qube.Meets(other.Qube.Pattern) &&
		meetsAny(agentGlobs(r), agentGlobs(other), glob.Pattern.Meets) &&
		meetsAny(r.Keys, other.Keys, KeyPattern.meets) &&
		meetsAny(r.Users, other.Users, func(a, b UserGlob) bool { return a.Meets(b.Pattern) }) &&
		slices.ContainsFunc(r.purposes(), func(p PurposePattern) bool { return p.isLogin() && slices.Contains(other.purposes(), p) })
}

func agentGlobs(r *SSHRule) []glob.Pattern {
	if r.Agent == nil {
		return nil
	}
	return []glob.Pattern{r.Agent.Pattern}
}

// coversAll tells whether each of part is covered by one of all; nil is a list
// that anything fits.
func coversAll[P any](all, part []P, covers func(P, P) bool) bool {
	if all == nil || part == nil {
		return all == nil
	}
	return !slices.ContainsFunc(part, func(p P) bool {
		return !slices.ContainsFunc(all, func(a P) bool { return covers(a, p) })
	})
}

func meetsAny[P any](some, others []P, meets func(P, P) bool) bool {
	if some == nil || others == nil {
		return true
	}
	return slices.ContainsFunc(some, func(s P) bool {
		return slices.ContainsFunc(others, func(o P) bool { return meets(s, o) })
	})
}
