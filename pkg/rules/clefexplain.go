package rules

import (
	"strconv"
	"strings"
)

// Explain is [Clef.Judge] with all rules up to the deciding one, which is the
// last; if none decides, it is all rules.
func (c *Clef) Explain(r ClefRequest) (Verdict, []Step) {
	var steps []Step
	for i := range c.Rules {
		rule := &c.Rules[i]
		missed := rule.misses(r)
		steps = append(steps, Step{
			Rule: rule.source.position(), Line: rule.source.line, Text: rule.source.text,
			Missed: missed, Why: rule.why(missed, r),
		})
		if missed == "" {
			break
		}
	}
	return c.Judge(r), steps
}

// why says what else the rule is for.
func (r *ClefRule) why(missed string, q ClefRequest) string {
	unknown := ""
	switch {
	case missed == "chains" && q.Chain == 0:
		unknown = ", and the request names no chain"
	case missed == "max_value" && q.Value.IsNone():
		unknown = ", and the request has no value that is known"
	case missed == "max_fee" && q.Fee.IsNone():
		unknown = ", and the request has no fee that is known"
	}
	switch missed {
	case "qube":
		return "it is for the qube " + r.Qube.String()
	case "methods":
		return "it is for " + strings.Join(r.methods(), ", ")
	case "origins":
		return "it is for the pages " + join(r.Origins, OriginName.String)
	case "accounts":
		return "it is for the accounts " + join(r.Accounts, func(a Account) string { return a.Checksummed() })
	case "chains":
		return "it is for the chains " + join(r.Chains, func(c int64) string { return strconv.FormatInt(c, 10) }) + unknown
	case "bounds":
		return "it allows what to, max_value and calls bound, and those of a Safe's delegate call or refund are not"
	case "to":
		return "it is for the recipients " + join(r.To, Recipient.String)
	case "max_value":
		return "it is for at most " + r.MaxValue.String() + unknown
	case "max_fee":
		return "it is for a fee of at most " + r.MaxFee.String() + unknown
	case "calls":
		return "it is for the calls " + join(r.Calls, CallName.String)
	case "content_types":
		return "it is for " + join(r.contentTypes(), ContentType.String)
	default:
		return "it decides"
	}
}
