package rules

import (
	"net/netip"
	"slices"
	"time"

	"github.com/splitvault/splitvault/pkg/clefapi"
	"github.com/splitvault/splitvault/pkg/eth"
)

// ClefFile is a rules file whose [clef] part has no mistake.
type ClefFile struct {
	Path     string // "" for [DefaultClef]
	Clef     Clef
	Warnings []Problem
}

// Clef is the [clef] part of rules.toml. Without rules everything is denied.
type Clef struct {
	Backend Backend // where the vault's Clef listens
	// Remember is the longest that a person's yes may last by any rule; nil for
	// what the rules say, which without a word is five minutes.
	Remember *Remember
	// Pending is how many requests of a qube may wait for an answer at once.
	Pending int
	// Cooldown is how long a qube's requests for signatures are refused after a
	// person refused one in Clef itself.
	Cooldown time.Duration
	// Rules, the first that matches decides.
	Rules []ClefRule
	// Peers name those who may connect to clef-net.
	Peers []ClefPeer
}

const (
	defaultPending  = 4
	maxPending      = 64
	defaultCooldown = Remember(5 * time.Second)
)

// ClefPeer is one [[clef.peer]].
type ClefPeer struct {
	Address netip.Addr // without zone
	Name    string     // as rules have it in qube
}

// PeerName returns the name of who connects from an address.
func (c *Clef) PeerName(from netip.Addr) (name string, known bool) {
	from = from.Unmap().WithZone("")
	i := slices.IndexFunc(c.Peers, func(p ClefPeer) bool { return p.Address == from })
	if i < 0 {
		return "", false
	}
	return c.Peers[i].Name, true
}

// ClefRequest is one use of Clef.
type ClefRequest struct {
	Qube        string
	Method      string
	Origin      string      // of the page that asks, as the qube says; "" for none
	Account     eth.Address // "" if the method is not about one
	Chain       int64       // 0 if it is not said
	To          eth.Address // recipient, or contract that verifies typed data
	Creates     bool        // it creates a contract
	Value       eth.Amount  // none for what moves no ether
	Fee         eth.Amount  // the highest that a transaction can cost beside it, none for others
	Call        []string    // the names of what it calls, as clefapi.Call has them
	ContentType string      // of account_signData
	// Unbound: To, Value and Call do not bound what it moves, as with a Safe's
	// delegate call, or one for which the Safe pays.
	Unbound bool
}

// Judge applies the rules to one use. For account_list it judges one account.
func (c *Clef) Judge(r ClefRequest) Verdict {
	for i := range c.Rules {
		if c.Rules[i].misses(r) == "" {
			return c.verdict(i, r.Qube)
		}
	}
	return Verdict{Rule: noRule}
}

const noRule = "no rule matches"

func (c *Clef) verdict(i int, qube string) Verdict {
	rule := &c.Rules[i]
	v := Verdict{Decision: *rule.Decision, Rule: rule.source.position(), Order: i, ID: rule.source.id(), Notify: rule.Notify}
	if v.Decision == Allow {
		v.Rate = rule.Rate
	}
	if v.Decision == Ask || v.Rate.Count > 0 {
		v.Remember = longest(rule.Remember, c.Remember, qube, rule.Qube)
	}
	return v
}

// JudgeList says whether account_list may be called at all, before it is known
// which accounts there are. It asks if any of the rules that decide about single
// accounts asks; a denial means that none would be shown. accounts are those that
// these rules name, nil if one of them is for all.
func (c *Clef) JudgeList(qube, origin string) (v Verdict, accounts []Account) {
	v, accounts = Verdict{Rule: noRule}, []Account{}
	q := ClefRequest{Qube: qube, Method: clefapi.List, Origin: origin}
	for i := range c.Rules {
		rule := &c.Rules[i]
		if rule.missesCaller(q) != "" {
			continue
		}
		if this := c.verdict(i, qube); v.Rule == noRule || decides(this.Decision) > decides(v.Decision) {
			v = this
		}
		if *rule.Decision != Deny {
			if rule.Accounts == nil {
				return v, nil
			}
			accounts = append(accounts, rule.Accounts...)
		}
		if rule.Accounts == nil {
			break
		}
	}
	return v, accounts
}

// decides orders decisions about some of the accounts: one question is for all.
func decides(d Decision) int { return []int{Deny: 0, Allow: 1, Ask: 2}[d] }

// Serves tells whether any rule could let the qube call the method, or with ""
// any method.
func (c *Clef) Serves(qube, method string) bool {
	return slices.ContainsFunc(c.Rules, func(r ClefRule) bool { return *r.Decision != Deny && r.serves(qube, method) })
}

// Asks tells whether any rule could put a question about the qube to a person:
// also an allow with a rate does so.
func (c *Clef) Asks(qube, method string) bool {
	return slices.ContainsFunc(c.Rules, func(r ClefRule) bool {
		return r.serves(qube, method) && (*r.Decision == Ask || *r.Decision == Allow && r.Rate.Count > 0)
	})
}

// Notifies tells whether any rule could have the person told of a use.
func (c *Clef) Notifies(qube, method string) bool {
	return slices.ContainsFunc(c.Rules, func(r ClefRule) bool { return r.Notify && r.serves(qube, method) })
}

// Rated returns the [Verdict.ID] of each rule that could let the qube use
// something up to a rate.
func (c *Clef) Rated(qube, method string) []string {
	var ids []string
	for i := range c.Rules {
		rule := &c.Rules[i]
		if id := rule.source.id(); *rule.Decision == Allow && rule.Rate.Count > 0 && rule.serves(qube, method) && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}
