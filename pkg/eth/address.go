// Package eth reads and writes addresses, amounts and quantities of Ethereum, each
// in one strict way.
package eth

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/sha3"
)

// ErrAddress says that a text is no address.
var ErrAddress = errors.New("not an address: 0x and 40 hexadecimal digits")

// ErrChecksum says that an address has capitals, and not where they belong.
var ErrChecksum = errors.New("the capitals in this address do not fit its digits (EIP-55), one of them is mistyped")

// Address is an address in lower case, with 0x. "" is none.
type Address string

// ParseAddress reads an address. One with both cases must have them as EIP-55
// wants, which finds most mistyped ones.
func ParseAddress(untrusted string) (Address, error) {
	digits, ok := strings.CutPrefix(untrusted, "0x")
	if !ok || len(digits) != 40 || !isHex(digits) {
		return "", fmt.Errorf("%.60q: %w", untrusted, ErrAddress)
	}
	a := Address(strings.ToLower(untrusted))
	mixed := strings.ToUpper(digits) != digits && strings.ToLower(digits) != digits
	if mixed && a.Checksummed() != untrusted {
		return "", fmt.Errorf("%q: %w", untrusted, ErrChecksum)
	}
	return a, nil
}

// AddressOf returns the address of 20 bytes.
func AddressOf(b [20]byte) Address { return Address("0x" + hex.EncodeToString(b[:])) }

// Checksummed writes the address with capitals as EIP-55 wants them, the way
// wallets show it.
func (a Address) Checksummed() string {
	if a == "" {
		return ""
	}
	text := []byte(a)
	sum := Keccak256(text[2:])
	for i := range text[2:] {
		if nibble := sum[i/2] >> (4 * (1 - i%2)) & 15; nibble >= 8 && text[2+i] >= 'a' {
			text[2+i] -= 'a' - 'A'
		}
	}
	return string(text)
}

// Keccak256 is the hash that Ethereum uses, which SHA3-256 nearly is.
func Keccak256(b []byte) [32]byte {
	h := sha3.NewLegacyKeccak256()
	h.Write(b) // never fails
	return [32]byte(h.Sum(nil))
}

func isHex(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'f') && (r < 'A' || r > 'F')
	})
}
