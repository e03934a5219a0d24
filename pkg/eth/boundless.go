package eth

import (
	"fmt"
	"math/big"
)

// tokenBits is the smallest type in which tokens are known to keep their amounts
// (UNI and COMP), with 18 places: 79 thousand million of them. Hardly any token has
// that many; those that do are shown as if all of them were meant, with the number.
const tokenBits = 96

// Boundless tells whether an amount of a token, of a type with so many bits, is so
// large that it bounds nothing: seven eighths of what the type holds, or of what 96
// bits hold. What a token takes for "all" is the most that its type holds, and there
// are types of 96, 128, 160, 255 and 256 bits.
func Boundless(n *big.Int, bits int) bool {
	limit := new(big.Int).Lsh(big.NewInt(7), uint(max(min(bits, tokenBits), 3)-3))
	return n.Cmp(limit) >= 0
}

// PowerName writes a number that is a power of two, or one less, as that: "2^256-1".
// Of others, and of those below 2^32, it returns "".
func PowerName(n *big.Int) string {
	above := new(big.Int).Add(n, big.NewInt(1))
	switch bits := n.BitLen(); {
	case n.Sign() <= 0 || bits <= 32:
		return ""
	case above.BitLen() == bits+1:
		return fmt.Sprintf("2^%d-1", bits)
	case n.TrailingZeroBits() == uint(bits-1):
		return fmt.Sprintf("2^%d", bits-1)
	default:
		return ""
	}
}
