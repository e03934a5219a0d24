package clefapi

import (
	"errors"
	"fmt"

	"github.com/splitvault/splitvault/pkg/eth"
	"github.com/splitvault/splitvault/pkg/strictjson"
)

// Transaction is a transaction of type 0, 1 or 2. Those of other types are not
// understood.
type Transaction struct {
	Type       int
	Nonce, Gas uint64
	// MaxFee is the most that it can cost beside its value: all its gas at the
	// highest price.
	MaxFee eth.Amount
	// AccessList are the contracts that it announces to use, and StorageKeys how many
	// of their storage keys.
	AccessList  []eth.Address
	StorageKeys int
}

// transactionKeys are those of apitypes.SendTxArgs that are understood, and type,
// which Clef ignores and clients send.
func transactionKeys() []string {
	return []string{
		"from", "to", "gas", "gasPrice", "maxFeePerGas", "maxPriorityFeePerGas", "value", "nonce", "data", "input", "accessList", "chainId", "type",
	}
}

func (u *Use) signTransaction(params []strictjson.Value) error {
	if err := count(params, 1, 2); err != nil {
		return err
	}
	args, err := object(params[0], transactionKeys()...)
	if err != nil {
		return err
	}
	u.Transaction = &Transaction{}
	if u.Account, err = address(args["from"]); err != nil {
		return fmt.Errorf("from: %w", err)
	}
	if to, ok := args["to"]; ok {
		if u.To, err = address(to); err != nil {
			return fmt.Errorf("to: %w", err)
		}
	}
	if err := u.amounts(args); err != nil {
		return err
	}
	if err := u.Transaction.fees(args); err != nil {
		return err
	}
	if err := u.Transaction.checkType(args["type"], u.Chain); err != nil {
		return err
	}
	code, err := callData(args)
	if err != nil {
		return err
	}
	if u.To == "" && len(code) == 0 {
		return errors.New("no recipient, and no contract to create")
	}
	if u.Call = parseCall(code); u.To == "" {
		u.Call = Call{Data: code}
	}
	return u.Call.checkSelector(params[1:])
}

// amounts reads value, nonce, gas and chainId.
func (u *Use) amounts(args map[string]strictjson.Value) error {
	var err error
	u.Value = eth.Wei(zero())
	if v, ok := args["value"]; ok {
		n, err := quantity(v)
		if err != nil {
			return fmt.Errorf("value: %w", err)
		}
		u.Value = eth.Wei(n)
	}
	if u.Transaction.Nonce, err = count64(args["nonce"]); err != nil {
		return fmt.Errorf("nonce: %w", err)
	}
	if u.Transaction.Gas, err = count64(args["gas"]); err != nil {
		return fmt.Errorf("gas: %w", err)
	}
	if v, ok := args["chainId"]; ok {
		n, err := quantity(v)
		if err != nil {
			return fmt.Errorf("chainId: %w", err)
		}
		if u.Chain, err = chainID(n); err != nil {
			return fmt.Errorf("chainId: %w", err)
		}
	}
	return nil
}

// fees reads what decides about the type, the way Clef does.
func (t *Transaction) fees(args map[string]strictjson.Value) error {
	price, hasPrice := args["gasPrice"]
	feeCap, hasCap := args["maxFeePerGas"]
	tip, hasTip := args["maxPriorityFeePerGas"]
	list, hasList := args["accessList"]
	if hasCap != hasTip || hasCap && hasPrice {
		return errors.New("neither gasPrice nor both of maxFeePerGas and maxPriorityFeePerGas")
	}
	switch {
	case hasCap:
		t.Type, price = 2, feeCap
		if _, err := quantity(tip); err != nil {
			return fmt.Errorf("maxPriorityFeePerGas: %w", err)
		}
	case hasList:
		t.Type = 1
	}
	perGas := zero()
	if hasCap || hasPrice {
		var err error
		if perGas, err = quantity(price); err != nil {
			return fmt.Errorf("price of gas: %w", err)
		}
	}
	t.MaxFee = eth.Wei(perGas).Times(t.Gas)
	if hasList {
		return t.accessList(list)
	}
	return nil
}

func (t *Transaction) accessList(list strictjson.Value) error {
	if list.Kind() != strictjson.Array {
		return errors.New("accessList is no list")
	}
	for _, item := range list.Items() {
		entry, err := object(item, "address", "storageKeys")
		if err != nil {
			return fmt.Errorf("accessList: %w", err)
		}
		contract, err := address(entry["address"])
		if err != nil {
			return fmt.Errorf("accessList: %w", err)
		}
		t.AccessList = append(t.AccessList, contract)
		if keys := entry["storageKeys"]; keys.Kind() != strictjson.Array {
			return errors.New("accessList: an entry without storageKeys")
		}
		for _, key := range entry["storageKeys"].Items() {
			if b, err := data(key); err != nil || len(b) != 32 {
				return errors.New("accessList: a storage key that is not 32 bytes")
			}
		}
		t.StorageKeys += len(entry["storageKeys"].Items())
	}
	return nil
}

// checkType: one that is given must be the one that Clef makes of the rest.
func (t *Transaction) checkType(given strictjson.Value, chain int64) error {
	if t.Type > 0 && chain == 0 {
		return errors.New("no chainId, which a transaction of this type needs")
	}
	if given.Kind() == 0 {
		return nil
	}
	n, err := count64(given)
	if err != nil || n != uint64(t.Type) {
		return fmt.Errorf("type: it is not 0x%d, which Clef makes of the rest", t.Type)
	}
	return nil
}

// callData is what data and input say, which is the same if both are there.
func callData(args map[string]strictjson.Value) ([]byte, error) {
	var code []byte
	for i, key := range []string{"data", "input"} {
		v, ok := args[key]
		if !ok {
			continue
		}
		b, err := data(v)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		if _, both := args["data"]; i == 1 && both && string(b) != string(code) {
			return nil, errors.New("data and input differ")
		}
		code = b
	}
	return code, nil
}
