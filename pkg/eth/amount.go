package eth

import (
	"errors"
	"fmt"
	"math/big"
	"strings"
)

// ErrAmount says that a text is no amount.
var ErrAmount = errors.New(`not an amount: write "0.5 ether", "20 gwei" or "1000 wei"`)

// units are those that amounts are written in.
func units() []unit { return []unit{{"ether", 18, 12}, {"gwei", 9, 5}, {"wei", 0, 0}} }

type unit struct {
	name   string
	places int
	least  int // power of ten, in wei, below which people would count zeros
}

// Amount is an amount of ether. The zero Amount is none at all.
type Amount struct{ wei *big.Int }

// Wei returns an amount of n wei.
func Wei(n *big.Int) Amount { return Amount{n} }

// ParseAmount reads a decimal number, a blank and a unit, exactly.
func ParseAmount(text string) (Amount, error) {
	number, name, _ := strings.Cut(text, " ")
	for _, u := range units() {
		if u.name != name {
			continue
		}
		whole, part, point := strings.Cut(number, ".")
		if point && part == "" || len(part) > u.places {
			break
		}
		// "0.5" of 18 places is 0 and 500000000000000000.
		high, ok := decimal(whole)
		low, ok2 := new(big.Int).SetString("0"+part+strings.Repeat("0", u.places-len(part)), 10)
		if !ok || !ok2 || strings.Trim(part, "0123456789") != "" {
			break
		}
		wei := high.Mul(high, power(u.places))
		if wei.Add(wei, low); wei.BitLen() > 256 {
			break
		}
		return Amount{wei}, nil
	}
	return Amount{}, fmt.Errorf("%.100q: %w", text, ErrAmount)
}

// UnmarshalText is [ParseAmount], for rules.toml.
func (a *Amount) UnmarshalText(text []byte) (err error) {
	*a, err = ParseAmount(string(text))
	return err
}

// IsNone tells whether it is no amount at all, which is not 0 wei.
func (a Amount) IsNone() bool { return a.wei == nil }

// Cmp compares two amounts, neither of which is none.
func (a Amount) Cmp(b Amount) int { return a.wei.Cmp(b.wei) }

// Times returns the amount n times.
func (a Amount) Times(n uint64) Amount {
	return Amount{new(big.Int).Mul(a.wei, new(big.Int).SetUint64(n))}
}

// String writes the amount exactly, in the largest unit that reads well:
// "0.5 ether", "20 gwei", "0 ether".
func (a Amount) String() string {
	if a.wei == nil {
		return ""
	}
	if a.wei.Sign() == 0 {
		return "0 ether"
	}
	for _, u := range units() {
		if a.wei.Cmp(power(u.least)) >= 0 {
			return a.in(u)
		}
	}
	return a.wei.String() + " wei"
}

func (a Amount) in(u unit) string {
	whole, part := new(big.Int).QuoRem(a.wei, power(u.places), new(big.Int))
	text := whole.String()
	if part.Sign() != 0 {
		digits := part.String()
		text += "." + strings.TrimRight(strings.Repeat("0", u.places-len(digits))+digits, "0")
	}
	return text + " " + u.name
}

func power(places int) *big.Int {
	return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(places)), nil)
}
