package clefapi

import (
	"math/big"
	"strings"

	"github.com/splitvault/splitvault/pkg/eth"
)

// Permission is what a permit lets another take: of EIP-2612, of DAI, of Permit2 and
// of those that are written like them.
type Permission struct {
	Token  eth.Address // "": the contract that verifies the permit is the token
	Amount *big.Int    // smallest units; nil for a permit that says yes or no, or which token
	ID     *big.Int    // of the one token that it is about, else nil
	// Unlimited: all that there is of the token, now and later.
	Unlimited bool
	Until     *big.Int // seconds since 1970; nil: no end of its own
}

// Permit is what a message gives away.
type Permit struct {
	Permissions []Permission // the unlimited ones first
	Spenders    []eth.Address
	Until       *big.Int // seconds since 1970, until which it can be used; nil: not said
}

// Unlimited counts the permissions without a limit.
func (p *Permit) Unlimited() int {
	n := 0
	for n < len(p.Permissions) && p.Permissions[n].Unlimited {
		n++
	}
	return n
}

// IsPermit tells whether the message is one by its type's name.
func (t *TypedData) IsPermit() bool { return strings.HasPrefix(t.PrimaryType, "Permit") }

// Permit returns what a permit gives away, and the fields that say nothing of that.
// nil: it is no permit, or none that is understood.
func (t *TypedData) Permit() (p *Permit, others []Field) {
	if !t.IsPermit() {
		return nil, t.Fields
	}
	p = &Permit{}
	groups := map[string]*Permission{} // by what the fields lie in
	var order []string
	for _, f := range t.Fields {
		within, _ := f.Within()
		// A witness binds the permit to something else, in words of its own.
		if strings.Contains(t.PrimaryType, "Witness") && within != "" && !strings.HasPrefix(within, "permitted") {
			others = append(others, f)
			continue
		}
		if groups[within] == nil {
			groups[within] = &Permission{}
			order = append(order, within)
		}
		if !p.take(groups[within], f) {
			others = append(others, f)
		}
	}
	var limited []Permission
	for _, within := range order {
		switch g := groups[within]; {
		case g.Unlimited:
			p.Permissions = append(p.Permissions, *g)
		case g.Amount != nil || g.ID != nil:
			limited = append(limited, *g)
		}
	}
	p.Permissions = append(p.Permissions, limited...)
	if len(p.Permissions) == 0 {
		return nil, t.Fields
	}
	return p, others
}

// take reads a field of a permission, and tells whether it is one.
func (p *Permit) take(g *Permission, f Field) bool {
	_, own := f.Within()
	own, _, listed := strings.Cut(own, "[")
	switch address := eth.Address(strings.ToLower(f.Value)); {
	case listed:
		return false
	case f.Kind == "address" && own == "token":
		g.Token = address
	case f.Kind == "address" && (own == "spender" || own == "operator"):
		p.Spenders = append(p.Spenders, address)
	case f.Kind == "bool" && (own == "allowed" || own == "approved"):
		g.Unlimited = g.Unlimited || f.Value == "true"
		if !g.Unlimited && g.Amount == nil {
			g.Amount = zero()
		}
	case f.Number == nil:
		return false
	case own == "value" || own == "amount":
		g.Amount, g.Unlimited = larger(g.Amount, f.Number), g.Unlimited || eth.Boundless(f.Number, f.Bits())
	case own == "tokenId":
		g.ID = f.Number
	case own == "expiration":
		g.Until = f.Number
	case own == "deadline" || own == "sigDeadline" || own == "expiry":
		p.Until = larger(p.Until, f.Number)
	default:
		return false
	}
	return true
}

// larger is the larger one of two numbers, of which the first can be missing.
func larger(a, b *big.Int) *big.Int {
	if a != nil && a.Cmp(b) > 0 {
		return a
	}
	return b
}
