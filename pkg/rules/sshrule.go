package rules

import (
	"slices"

	"github.com/splitvault/splitvault/pkg/glob"
	"github.com/splitvault/splitvault/pkg/rate"
)

// SSHRule is one [[ssh.rule]]. A key that is left out matches anything, except
// for Purpose.
type SSHRule struct {
	Qube     *QubeGlob        `toml:"qube"`
	Agent    *AgentGlob       `toml:"agent"`
	Keys     []KeyPattern     `toml:"keys"`
	Purpose  []PurposePattern `toml:"purpose"`
	Users    []UserGlob       `toml:"users"`
	Hosts    []HostGlob       `toml:"hosts"`
	Decision *Decision        `toml:"decision"`
	Remember *Remember        `toml:"remember"`
	Rate     rate.Limit       `toml:"rate"`
	Notify   bool             `toml:"notify"`

	plainKeys bool // certificates do not match; of the built-in rule
	source    ruleSource
}

// matches returns the index of the key pattern that fits, or the name of the
// first part of the rule that does not.
func (r *SSHRule) matches(q SSHRequest) (key int, missed string) {
	if missed := r.missesQube(q.Qube, q.Agent); missed != "" {
		return 0, missed
	}
	key, ok := r.matchesKey(q)
	switch {
	case !ok:
		return 0, "keys"
	case !slices.ContainsFunc(r.purposes(), func(p PurposePattern) bool { return p.Match(q.Purpose) }):
		return 0, "purpose"
	case r.Users != nil && !slices.ContainsFunc(r.Users, func(u UserGlob) bool { return u.Match(q.User) }):
		return 0, "users"
	case r.Hosts != nil && !r.matchesHost(q.Hosts):
		return 0, "hosts"
	}
	return key, ""
}

func (r *SSHRule) missesQube(qube, agent string) (missed string) {
	switch {
	case !r.Qube.Match(qube):
		return "qube"
	case r.Agent != nil && !r.Agent.Match(agent):
		return "agent"
	default:
		return ""
	}
}

func (r *SSHRule) serves(qube, agent string) bool { return r.missesQube(qube, agent) == "" }

func (r *SSHRule) matchesKey(q SSHRequest) (index int, ok bool) {
	if r.plainKeys && q.isCertificate() {
		return 0, false
	}
	if r.Keys == nil {
		return 0, true
	}
	index = slices.IndexFunc(r.Keys, func(k KeyPattern) bool { return k.matches(q) })
	return index, index >= 0
}

// matchesHost: one name is enough, as all are of the same host key.
func (r *SSHRule) matchesHost(hosts []string) bool {
	return slices.ContainsFunc(r.Hosts, func(h HostGlob) bool { return slices.ContainsFunc(hosts, h.Match) })
}

// isCertificate: a key with two fingerprints is one, too.
func (q SSHRequest) isCertificate() bool {
	return q.Certificate || slices.ContainsFunc(q.Fingerprints, func(f string) bool { return f != q.Fingerprints[0] })
}

// purposes applies the default: login and sshsig; all other purposes can do more
// harm than they are often needed for, and must be named. A rule with users or
// hosts is about logins only, whatever else it names.
func (r *SSHRule) purposes() []PurposePattern {
	all := r.Purpose
	if all == nil {
		all = []PurposePattern{{login}, {"sshsig:*"}}
	}
	if r.Users == nil && r.Hosts == nil {
		return all
	}
	var logins []PurposePattern
	for _, p := range all {
		if p.isLogin() {
			logins = append(logins, p)
		}
	}
	return logins
}

// lists tells whether a key that is to be listed may be a matter of the rule.
func (r *SSHRule) lists(q SSHRequest) (key int, ok bool) {
	if !r.serves(q.Qube, q.Agent) || q.Bound && r.Hosts != nil && !r.matchesHost(q.Hosts) {
		return 0, false
	}
	return r.matchesKey(q)
}

// listedPurposes are those for which a key can be listed.
func (r *SSHRule) listedPurposes(q SSHRequest) []PurposePattern {
	if !q.Bound && !q.Forwarded {
		return r.purposes()
	}
	use := glob.Pattern(login)
	if q.Forwarded { // whatever it is for, it takes a rule that names this
		use = forwardedLogin
	}
	if slices.Contains(r.purposes(), PurposePattern{use}) {
		return []PurposePattern{{use}}
	}
	return nil
}
