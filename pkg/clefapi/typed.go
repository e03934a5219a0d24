package clefapi

import (
	"errors"
	"fmt"
	"strings"

	"github.com/splitvault/splitvault/pkg/eth"
	"github.com/splitvault/splitvault/pkg/strictjson"
)

// TypedData is data of EIP-712.
type TypedData struct {
	PrimaryType string
	Name        string // the domain's, which anybody can take
	Version     string
	Chain       int64       // 0 if the domain has none
	Contract    eth.Address // that verifies it, "" if the domain has none
	Fields      []Field     // all values of the message, in order
}

// domainTypes are the fields of a domain, with the types that EIP-712 gives them.
// A domain of other types would be hashed in another way than it reads.
func domainTypes() map[string]string {
	return map[string]string{"name": "string", "version": "string", "chainId": "uint256", "verifyingContract": "address", "salt": "bytes32"}
}

// typedInHex reads typed data the way account_signData has it.
func typedInHex(v strictjson.Value) (*TypedData, error) {
	untrusted, err := data(v)
	if err != nil {
		return nil, err
	}
	inner, err := strictjson.Parse(untrusted)
	if err != nil {
		return nil, err
	}
	if number, odd := inner.OddNumber(); odd {
		return nil, fmt.Errorf("the number %s: write it as a text", number)
	}
	return typedData(inner)
}

func typedData(v strictjson.Value) (*TypedData, error) {
	parts, err := object(v, "types", "primaryType", "domain", "message")
	if err != nil {
		return nil, err
	}
	types, err := parseTypes(parts["types"])
	if err != nil {
		return nil, fmt.Errorf("types: %w", err)
	}
	t := &TypedData{}
	if t.PrimaryType, err = text(parts["primaryType"]); err != nil {
		return nil, fmt.Errorf("primaryType: %w", err)
	}
	fields, known := types[t.PrimaryType]
	if !known || t.PrimaryType == domainType {
		return nil, fmt.Errorf("primaryType: %.60q is none of the types of a message", t.PrimaryType)
	}
	if err := t.domain(parts["domain"], types[domainType]); err != nil {
		return nil, fmt.Errorf("domain: %w", err)
	}
	m := message{types: types}
	if err := m.structure(parts["message"], fields, ""); err != nil {
		return nil, fmt.Errorf("message: %w", err)
	}
	t.Fields = m.fields
	return t, nil
}

const domainType = "EIP712Domain"

// field is a member of a type, in the type's order.
type field struct{ name, kind string }

// typeSet are the types that a request declares.
type typeSet map[string][]field

func parseTypes(v strictjson.Value) (typeSet, error) {
	if v.Kind() != strictjson.Object {
		return nil, errors.New("no object")
	}
	types := make(typeSet, len(v.Keys()))
	for i, name := range v.Keys() {
		if !identifier(name) || v.Items()[i].Kind() != strictjson.Array {
			return nil, fmt.Errorf("%.60q is no type", name)
		}
		for _, item := range v.Items()[i].Items() {
			f, err := parseField(item)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			types[name] = append(types[name], f)
		}
	}
	return types, nil
}

func parseField(v strictjson.Value) (field, error) {
	parts, err := object(v, "name", "type")
	if err != nil {
		return field{}, err
	}
	name, err := text(parts["name"])
	if err != nil || !identifier(name) {
		return field{}, errors.New("a field without a name")
	}
	kind, err := text(parts["type"])
	if base, _, _ := strings.Cut(kind, "["); err != nil || !identifier(base) || len(kind) > 128 {
		return field{}, fmt.Errorf("%s has no type", name)
	}
	return field{name, kind}, nil
}

// identifier is a name as Solidity has them.
func identifier(s string) bool {
	return s != "" && len(s) <= 128 && (s[0] < '0' || s[0] > '9') && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '$'
	})
}

// domain believes a chain and a contract only if the domain's type has them: what
// is not in it is not signed.
func (t *TypedData) domain(v strictjson.Value, declared []field) error {
	parts, err := object(v, "name", "version", "chainId", "verifyingContract", "salt")
	if err != nil {
		return err
	}
	for _, f := range declared {
		if domainTypes()[f.name] != f.kind {
			return fmt.Errorf("its type has the field %.60q of type %.60q", f.name, f.kind)
		}
	}
	if len(declared) == 0 || len(declared) != len(parts) {
		return errors.New("its fields are not those of its type")
	}
	seen := map[string]bool{}
	for _, f := range declared {
		if part, ok := parts[f.name]; !ok || seen[f.name] {
			return errors.New("its fields are not those of its type")
		} else if err := t.domainField(f.name, part); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		seen[f.name] = true
	}
	return nil
}

func (t *TypedData) domainField(name string, v strictjson.Value) error {
	var err error
	switch name {
	case "chainId":
		n, err := number(v)
		if err != nil {
			return err
		}
		t.Chain, err = chainID(n)
		return err
	case "verifyingContract":
		t.Contract, err = address(v)
	case "salt":
		var salt []byte
		if salt, err = data(v); err == nil && len(salt) != 32 {
			err = errors.New("not 32 bytes")
		}
	case "version":
		t.Version, err = text(v)
	default:
		t.Name, err = text(v)
	}
	return err
}
