package rules

import "slices"

// PageMayAsk tells whether a rule names an origin and could let pages of it ask for
// something through this qube. Where no rule speaks of origins, programs may ask, and
// no page: it is a person who went to a page, not the page that came.
func (c *Clef) PageMayAsk(qube, untrustedOrigin string) bool {
	return untrustedOrigin != "" && slices.ContainsFunc(c.Rules, func(r ClefRule) bool {
		return *r.Decision != Deny && r.Qube.Match(qube) &&
			slices.ContainsFunc(r.Origins, func(o OriginName) bool { return o.matches(untrustedOrigin) })
	})
}
