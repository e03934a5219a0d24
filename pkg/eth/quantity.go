package eth

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strings"
)

var (
	// ErrQuantity says that a text is no quantity.
	ErrQuantity = errors.New("not a quantity: 0x and up to 64 hexadecimal digits, without zeros in front")
	// ErrData says that a text is no data.
	ErrData = errors.New("not data: 0x and two hexadecimal digits for each byte")
)

// ParseQuantity reads a whole number as Ethereum's JSON-RPC writes it, of at most
// 256 bits: "0x0", "0x1f".
func ParseQuantity(untrusted string) (*big.Int, error) {
	digits, ok := strings.CutPrefix(untrusted, "0x")
	if !ok || digits == "" || len(digits) > 64 || !isHex(digits) || digits[0] == '0' && digits != "0" {
		return nil, fmt.Errorf("%.80q: %w", untrusted, ErrQuantity)
	}
	n, ok := new(big.Int).SetString(digits, 16)
	if !ok {
		return nil, fmt.Errorf("%.80q: %w", untrusted, ErrQuantity)
	}
	return n, nil
}

// ParseNumber reads a whole number of at most 256 bits, in decimal or after 0x in
// hexadecimal, as typed data has it.
func ParseNumber(untrusted string) (*big.Int, error) {
	if digits, ok := strings.CutPrefix(untrusted, "0x"); ok && digits != "" && len(digits) <= 64 && isHex(digits) {
		n, _ := new(big.Int).SetString(digits, 16)
		return n, nil
	}
	if n, ok := decimal(untrusted); ok && n.BitLen() <= 256 {
		return n, nil
	}
	return nil, fmt.Errorf("%.100q is no whole number of at most 256 bits", untrusted)
}

// decimal reads digits without a zero in front.
func decimal(digits string) (*big.Int, bool) {
	if digits == "" || len(digits) > 78 || strings.Trim(digits, "0123456789") != "" || digits[0] == '0' && digits != "0" {
		return nil, false
	}
	return new(big.Int).SetString(digits, 10)
}

// ParseData reads bytes as Ethereum's JSON-RPC writes them: "0x", "0x00ff".
func ParseData(untrusted string) ([]byte, error) {
	digits, ok := strings.CutPrefix(untrusted, "0x")
	if !ok {
		return nil, fmt.Errorf("%.40q: %w", untrusted, ErrData)
	}
	data, err := hex.DecodeString(digits)
	if err != nil {
		return nil, fmt.Errorf("%.40q: %w", untrusted, ErrData)
	}
	return data, nil
}
