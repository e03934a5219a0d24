package rules

import (
	"fmt"
	"slices"
	"time"

	"github.com/splitvault/splitvault/pkg/rate"
)

// Decision is what a rule says. The zero value denies.
type Decision int

const (
	Deny Decision = iota
	Ask
	Allow
)

// UnmarshalText accepts "allow", "ask" and "deny".
func (d *Decision) UnmarshalText(text []byte) error {
	switch string(text) {
	case "allow":
		*d = Allow
	case "ask":
		*d = Ask
	case "deny":
		*d = Deny
	default:
		return fmt.Errorf("%q is no decision: write \"allow\", \"ask\" or \"deny\"", text)
	}
	return nil
}

// String returns the decision as it is written in a rule.
func (d Decision) String() string {
	switch d {
	case Allow:
		return "allow"
	case Ask:
		return "ask"
	default:
		return "deny"
	}
}

// SSH is the [ssh] part of rules.toml.
type SSH struct {
	// Agents are the agents that a client may name, by qubes.Ssh+NAME.
	Agents map[AgentName]AgentPaths
	// Comments shows the vault's key comments to clients; otherwise they see a
	// part of the fingerprint, as a comment such as "alice@laptop" ties the
	// qubes that see it together.
	Comments bool
	// Remember is the longest that a person's yes may last by any rule; nil for
	// what the rules say, which without a word is five minutes.
	Remember *Remember
	// ShippedKnownHosts: the host keys that come with the package are known hosts
	// of the vault.
	ShippedKnownHosts bool
	// Rules, the first that matches decides.
	Rules []SSHRule
}

// SSHRequest is one use of one key.
type SSHRequest struct {
	Qube         string
	Agent        string   // "" for a call without agent name
	Fingerprints []string // of the key; for a certificate also of the key in it
	Certificate  bool     // the key is a certificate
	Comment      string   // the vault's own
	Purpose      string   // "login", "sshsig:git", …
	User         string   // of a login, from the data that is signed
	// Hosts are the names of a login's destination that are believed: those that
	// the vault's own known hosts have for its host key. None if it is not known;
	// never what a client claims.
	Hosts []string
	// Bound and Forwarded are for Listed only. Bound: the connection is bound to a
	// session with one host, Hosts if they are known. Forwarded: it comes through
	// a forwarded agent.
	Bound, Forwarded bool
}

// Verdict is what the rules say about a request. The zero value denies.
type Verdict struct {
	Decision Decision
	Rule     string // "rules.toml:12", or in words why no rule decided
	Order    int    // of the deciding rule and key pattern: keys are listed in this order
	// ID is the deciding rule's identity for counting: of its text, not of its
	// place in the file.
	ID string
	// Rate makes an Allow an Ask beyond it. Zero: no limit.
	Rate rate.Limit
	// Remember is the longest that a person's yes may last; 0 for once.
	Remember time.Duration
	// Notify: the owner is told of each use.
	Notify bool
	// Unlock: the passphrase of the store's key may be asked for. Of pass only.
	Unlock bool
}

// Judge applies the rules to one use of a key.
func (s *SSH) Judge(r SSHRequest) Verdict {
	for i := range s.Rules {
		if key, missed := s.Rules[i].matches(r); missed == "" {
			return s.verdict(i, key, r.Qube)
		}
	}
	return Verdict{Rule: "no rule matches"}
}

// verdict is what rule i says, having matched by its key pattern.
func (s *SSH) verdict(i, key int, qube string) Verdict {
	rule := &s.Rules[i]
	v := Verdict{
		Decision: *rule.Decision, Rule: rule.source.position(), Order: i<<16 | key,
		ID: rule.source.id(), Notify: rule.Notify,
	}
	if v.Decision == Allow {
		v.Rate = rule.Rate
	}
	if v.Decision == Ask || v.Rate.Count > 0 {
		v.Remember = longest(rule.Remember, s.Remember, qube, rule.Qube)
	}
	return v
}

// Listed tells whether a key may be shown to the qube: some use of it exists that
// is not denied. On a connection that is bound to a session that use is a login
// there, with any user; to a host of unknown name only rules without hosts give
// one. r.Purpose and r.User are ignored, r.Hosts too unless r.Bound.
//
// A key may be shown of which only several rules together deny all uses; a key
// that Judge does not deny is always shown.
func (s *SSH) Listed(r SSHRequest) Verdict {
	var denied []*SSHRule
	for i := range s.Rules {
		rule := &s.Rules[i]
		key, ok := rule.lists(r)
		if !ok {
			continue
		}
		if *rule.Decision == Deny {
			denied = append(denied, rule)
			continue
		}
		for _, p := range rule.listedPurposes(r) {
			if !slices.ContainsFunc(denied, func(d *SSHRule) bool { return d.coversUse(p, rule, r.Bound) }) {
				return s.verdict(i, key, r.Qube)
			}
		}
	}
	return Verdict{Rule: "no rule lets it be used"}
}

// Serves tells whether any rule could let the qube use anything of the agent.
func (s *SSH) Serves(qube, agent string) bool {
	return slices.ContainsFunc(s.Rules, func(r SSHRule) bool {
		return *r.Decision != Deny && r.serves(qube, agent)
	})
}

// Asks tells whether any rule could put a question about the qube's use of the
// agent to a person: also an allow with a rate does so.
func (s *SSH) Asks(qube, agent string) bool {
	return slices.ContainsFunc(s.Rules, func(r SSHRule) bool {
		return r.serves(qube, agent) && (*r.Decision == Ask || *r.Decision == Allow && r.Rate.Count > 0)
	})
}

// Notifies tells whether any rule could have the owner told of the qube's use of
// the agent.
func (s *SSH) Notifies(qube, agent string) bool {
	return slices.ContainsFunc(s.Rules, func(r SSHRule) bool { return r.Notify && r.serves(qube, agent) })
}

// Rated returns the [Verdict.ID] of each rule that could let the qube use
// something of the agent up to a rate: a guard opens their counters before it
// confines itself.
func (s *SSH) Rated(qube, agent string) []string {
	var ids []string
	for i := range s.Rules {
		rule := &s.Rules[i]
		if id := rule.source.id(); *rule.Decision == Allow && rule.Rate.Count > 0 && rule.serves(qube, agent) && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// HostNames returns the hosts that rules name without a pattern, as candidates
// for the hashed names of a known_hosts file.
func (s *SSH) HostNames() []string {
	var names []string
	for i := range s.Rules {
		for _, h := range s.Rules[i].Hosts {
			if h.Plain() && !slices.Contains(names, h.String()) {
				names = append(names, h.String())
			}
		}
	}
	return names
}
