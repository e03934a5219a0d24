package signer

import (
	"errors"
	"math/big"
	"strings"

	"github.com/splitvault/splitvault/pkg/eth"
)

// The curve secp256k1 (SEC 2, section 2.4.1), for nothing but to check Clef's
// signatures with code that Clef does not have.
func curve() (p, n, gx, gy *big.Int) {
	hex := func(s string) *big.Int {
		x, _ := new(big.Int).SetString(strings.ReplaceAll(s, " ", ""), 16)
		return x
	}
	return hex("FFFFFFFF FFFFFFFF FFFFFFFF FFFFFFFF FFFFFFFF FFFFFFFF FFFFFFFE FFFFFC2F"),
		hex("FFFFFFFF FFFFFFFF FFFFFFFF FFFFFFFE BAAEDCE6 AF48A03B BFD25E8C D0364141"),
		hex("79BE667E F9DCBBAC 55A06295 CE870B07 029BFCDB 2DCE28D9 59F2815B 16F81798"),
		hex("483ADA77 26A3C465 5DA4FBFC 0E1108A8 FD17B448 A6855419 9C47D08F FB10D4B8")
}

type point struct{ x, y *big.Int } // x is nil for the point at infinity

func add(a, b point) point {
	p, _, _, _ := curve()
	if a.x == nil {
		return b
	}
	if b.x == nil {
		return a
	}
	slope := new(big.Int)
	if a.x.Cmp(b.x) == 0 {
		if a.y.Cmp(b.y) != 0 || a.y.Sign() == 0 {
			return point{}
		}
		slope.Mul(a.x, a.x).Mul(slope, big.NewInt(3)).Mul(slope, new(big.Int).ModInverse(new(big.Int).Lsh(a.y, 1), p))
	} else {
		dx := new(big.Int).Sub(b.x, a.x)
		slope.Sub(b.y, a.y).Mul(slope, dx.ModInverse(dx.Mod(dx, p), p))
	}
	x := new(big.Int).Mul(slope, slope)
	x.Sub(x, a.x).Sub(x, b.x).Mod(x, p)
	y := new(big.Int).Sub(a.x, x)
	y.Mul(y, slope).Sub(y, a.y).Mod(y, p)
	return point{x, y}
}

func times(k *big.Int, a point) point {
	sum := point{}
	for i := k.BitLen() - 1; i >= 0; i-- {
		if sum = add(sum, sum); k.Bit(i) == 1 {
			sum = add(sum, a)
		}
	}
	return sum
}

// Recover returns whose signature over a hash this is: r, s and v, which is 0, 1, 27
// or 28 (SEC 1, section 4.1.6).
func Recover(hash [32]byte, signature []byte) (eth.Address, error) {
	p, n, gx, gy := curve()
	if len(signature) != 65 {
		return "", errors.New("a signature has 65 bytes")
	}
	r, s, v := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:64]), signature[64]%27
	if r.Sign() == 0 || s.Sign() == 0 || r.Cmp(n) >= 0 || s.Cmp(n) >= 0 || v > 1 {
		return "", errors.New("no signature")
	}
	y := new(big.Int).Exp(r, big.NewInt(3), p)
	if y.Add(y, big.NewInt(7)).ModSqrt(y, p) == nil {
		return "", errors.New("no point of the curve")
	}
	if y.Bit(0) != uint(v) {
		y.Sub(p, y)
	}
	inverse := new(big.Int).ModInverse(r, n)
	u1 := new(big.Int).Mul(new(big.Int).Neg(new(big.Int).SetBytes(hash[:])), inverse)
	u2 := new(big.Int).Mul(s, inverse)
	q := add(times(u1.Mod(u1, n), point{gx, gy}), times(u2.Mod(u2, n), point{r, y}))
	if q.x == nil {
		return "", errors.New("no key")
	}
	sum := eth.Keccak256(append(q.x.FillBytes(make([]byte, 32)), q.y.FillBytes(make([]byte, 32))...))
	return eth.AddressOf([20]byte(sum[12:])), nil
}
