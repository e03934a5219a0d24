package rules

import (
	"slices"

	"github.com/splitvault/splitvault/pkg/clefapi"
	"github.com/splitvault/splitvault/pkg/eth"
	"github.com/splitvault/splitvault/pkg/rate"
)

// ClefRule is one [[clef.rule]]. A key that is left out matches anything, except
// for Methods and ContentTypes.
//
// Accounts say nothing about methods that are not about an account, and Chains,
// To, MaxValue, MaxFee, Calls and ContentTypes say nothing about methods that make no
// signature. Of those that do, one without chain, recipient, value or call never
// matches a rule that has the key.
type ClefRule struct {
	Qube         *QubeGlob     `toml:"qube"`
	Methods      []MethodGlob  `toml:"methods"`
	Origins      []OriginName  `toml:"origins"`
	Accounts     []Account     `toml:"accounts"`
	Chains       []int64       `toml:"chains"`
	To           []Recipient   `toml:"to"`
	MaxValue     eth.Amount    `toml:"max_value"`
	MaxFee       eth.Amount    `toml:"max_fee"`
	Calls        []CallName    `toml:"calls"`
	ContentTypes []ContentType `toml:"content_types"`
	Decision     *Decision     `toml:"decision"`
	Remember     *Remember     `toml:"remember"`
	Rate         rate.Limit    `toml:"rate"`
	Notify       bool          `toml:"notify"`

	source ruleSource
}

// methods applies the default: all but account_new, which makes a key, and those
// of rpc.
func (r *ClefRule) methods() []string {
	var all []string
	for _, m := range clefapi.Methods() {
		named := slices.ContainsFunc(r.Methods, func(g MethodGlob) bool { return g.Match(m) })
		if named || r.Methods == nil && m != clefapi.New && m != clefapi.Modules {
			all = append(all, m)
		}
	}
	return all
}

// contentTypes applies the default: all but the headers of blocks.
func (r *ClefRule) contentTypes() []ContentType {
	if r.ContentTypes != nil {
		return r.ContentTypes
	}
	return []ContentType{{"text/plain"}, {"data/typed"}, {"data/validator"}}
}

// misses returns the first part of the rule that does not fit, "" if all do.
func (r *ClefRule) misses(q ClefRequest) string {
	if missed := r.missesCaller(q); missed != "" {
		return missed
	}
	has := clefapi.PropertiesOf(q.Method)
	switch {
	case has.Account && r.Accounts != nil && !slices.Contains(r.Accounts, Account{q.Account}):
		return "accounts"
	case !has.Signs:
		return ""
	case q.Unbound && r.bounds():
		return "bounds"
	case r.Chains != nil && (q.Chain == 0 || !slices.Contains(r.Chains, q.Chain)):
		return "chains"
	case r.To != nil && !slices.ContainsFunc(r.To, func(t Recipient) bool { return t.matches(q) }):
		return "to"
	case !r.MaxValue.IsNone() && (q.Value.IsNone() || q.Value.Cmp(r.MaxValue) > 0):
		return "max_value"
	case !r.MaxFee.IsNone() && (q.Fee.IsNone() || q.Fee.Cmp(r.MaxFee) > 0):
		return "max_fee"
	case r.Calls != nil && !slices.ContainsFunc(r.Calls, func(n CallName) bool { return slices.Contains(q.Call, n.name) }):
		return "calls"
	}
	if (has.ContentType || r.ContentTypes != nil) && !slices.Contains(r.contentTypes(), ContentType{q.ContentType}) {
		return "content_types"
	}
	return ""
}

// bounds tells whether the rule allows, by itself, only so much, or for so few.
func (r *ClefRule) bounds() bool {
	return *r.Decision == Allow && (r.To != nil || !r.MaxValue.IsNone() || r.Calls != nil)
}

// missesCaller is misses as far as the qube, the method and the page go.
func (r *ClefRule) missesCaller(q ClefRequest) string {
	switch {
	case !r.Qube.Match(q.Qube):
		return "qube"
	case !slices.Contains(r.methods(), q.Method):
		return "methods"
	case r.Origins != nil && !slices.ContainsFunc(r.Origins, func(o OriginName) bool { return o.matches(q.Origin) }):
		return "origins"
	default:
		return ""
	}
}

func (r *ClefRule) serves(qube, method string) bool {
	return r.Qube.Match(qube) && (method == "" || slices.Contains(r.methods(), method))
}

// covers tells whether r matches every use that other matches, so that other
// behind it decides nothing.
func (r *ClefRule) covers(other *ClefRule) bool {
	return !slices.ContainsFunc(other.methods(), func(m string) bool { return other.lacks(m) == "" && !r.coversMethod(m, other) })
}

func (r *ClefRule) coversMethod(m string, other *ClefRule) bool {
	has := clefapi.PropertiesOf(m)
	switch {
	case !r.Qube.Covers(other.Qube.Pattern) || !slices.Contains(r.methods(), m) || !subset(r.Origins, other.Origins):
		return false
	case has.Account && !subset(r.Accounts, other.Accounts):
		return false
	case !has.Signs:
		return true
	case m == clefapi.SignSafe && r.bounds() && !other.bounds():
		return false
	case r.lacks(m) != "" || !subset(r.Chains, other.Chains) || !subset(r.To, other.To) || !subset(r.Calls, other.Calls):
		return false
	case has.ContentType && !subset(r.contentTypes(), other.contentTypes()):
		return false
	default:
		return atMost(r.MaxValue, other.MaxValue) && atMost(r.MaxFee, other.MaxFee)
	}
}

// atMost tells whether all up to part, or all if that is none, is up to limit.
func atMost(limit, part eth.Amount) bool {
	return limit.IsNone() || !part.IsNone() && part.Cmp(limit) <= 0
}

// lacks returns a key of the rule that keeps all requests of a method out, as they
// never have what it is about; "" if there is none.
func (r *ClefRule) lacks(method string) string {
	has := clefapi.PropertiesOf(method)
	switch {
	case !has.Signs:
		return ""
	case r.Chains != nil && !has.Chain:
		return "chains"
	case r.To != nil && !has.To:
		return "to"
	case !r.MaxValue.IsNone() && !has.Value:
		return "max_value"
	case !r.MaxFee.IsNone() && !has.Fee:
		return "max_fee"
	case r.Calls != nil && !has.Call:
		return "calls"
	case r.ContentTypes != nil && !has.ContentType:
		return "content_types"
	default:
		return ""
	}
}

func subset[T comparable](all, part []T) bool {
	return coversAll(all, part, func(a, b T) bool { return a == b })
}
