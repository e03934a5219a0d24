package clefapi

import (
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/splitvault/splitvault/pkg/eth"
	"github.com/splitvault/splitvault/pkg/strictjson"
)

// object returns the members of an object that has no keys but these; those that
// are null are left out, as Clef takes them for missing.
func object(v strictjson.Value, keys ...string) (map[string]strictjson.Value, error) {
	if v.Kind() != strictjson.Object {
		return nil, fmt.Errorf("%v, where an object is wanted", v.Kind())
	}
	members := make(map[string]strictjson.Value, len(v.Keys()))
	for i, key := range v.Keys() {
		item := v.Items()[i]
		if !slices.Contains(keys, key) {
			return nil, fmt.Errorf("unknown key %.60q", key)
		}
		if item.Kind() != strictjson.Null {
			members[key] = item
		}
	}
	return members, nil
}

func text(v strictjson.Value) (string, error) {
	if v.Kind() != strictjson.String {
		return "", fmt.Errorf("%v, where a text is wanted", v.Kind())
	}
	return v.Text(), nil
}

func address(v strictjson.Value) (eth.Address, error) {
	s, err := text(v)
	if err != nil {
		return "", err
	}
	return eth.ParseAddress(s)
}

func data(v strictjson.Value) ([]byte, error) {
	s, err := text(v)
	if err != nil {
		return nil, err
	}
	return eth.ParseData(s)
}

func quantity(v strictjson.Value) (*big.Int, error) {
	s, err := text(v)
	if err != nil {
		return nil, err
	}
	return eth.ParseQuantity(s)
}

// count64 is a quantity of at most 64 bits, 0 if it is missing.
func count64(v strictjson.Value) (uint64, error) {
	if v.Kind() == 0 {
		return 0, nil
	}
	n, err := quantity(v)
	if err != nil {
		return 0, err
	}
	if !n.IsUint64() {
		return 0, errors.New("over 64 bits")
	}
	return n.Uint64(), nil
}

// number is a whole number as a text or as a JSON number; the latter was found to
// be whole before.
func number(v strictjson.Value) (*big.Int, error) {
	if v.Kind() != strictjson.String && v.Kind() != strictjson.Number {
		return nil, fmt.Errorf("%v, where a number is wanted", v.Kind())
	}
	return eth.ParseNumber(v.Text())
}

// chainID is what a number says as a chain.
func chainID(n *big.Int) (int64, error) {
	if n.Sign() <= 0 || !n.IsInt64() {
		return 0, fmt.Errorf("%v is no chain", n)
	}
	return n.Int64(), nil
}
