package clefapi

import (
	"errors"
	"fmt"
	"math/big"

	"github.com/splitvault/splitvault/pkg/eth"
	"github.com/splitvault/splitvault/pkg/strictjson"
)

// SafeTransaction is a transaction of a Safe, a contract that executes what enough
// of its owners have signed.
type SafeTransaction struct {
	Safe     eth.Address
	Nonce    uint64
	Delegate bool // the called code runs as the Safe itself, and may do anything with it
	// Refund: the Safe pays for the gas, which is a way to empty it.
	Refund bool
}

// SafeType is the primary type of a Safe's transaction as typed data, which is what
// the Safe checks a signature by.
const SafeType = "SafeTx"

// safeKeys are those of signer/core.GnosisSafeTx that Clef reads.
func safeKeys() []string {
	return []string{
		"safe", "to", "value", "gasPrice", "data", "operation", "gasToken", "refundReceiver", "baseGas", "safeTxGas", "nonce", "safeTxHash", "chainId",
	}
}

func (u *Use) signSafe(params []strictjson.Value) error {
	if err := count(params, 2, 3); err != nil {
		return err
	}
	var err error
	if u.Account, err = address(params[0]); err != nil {
		return fmt.Errorf("account: %w", err)
	}
	args, err := object(params[1], safeKeys()...)
	if err != nil {
		return err
	}
	u.Safe = &SafeTransaction{}
	if u.Safe.Safe, err = address(args["safe"]); err != nil {
		return fmt.Errorf("safe: %w", err)
	}
	if u.To, err = address(args["to"]); err != nil {
		return fmt.Errorf("to: %w", err)
	}
	if v, ok := args["data"]; ok {
		code, err := data(v)
		if err != nil {
			return fmt.Errorf("data: %w", err)
		}
		u.Call = parseCall(code)
	}
	if err := u.safeNumbers(args); err != nil {
		return err
	}
	for _, key := range []string{"gasToken", "refundReceiver"} {
		if v, ok := args[key]; ok {
			if _, err := address(v); err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
		}
	}
	if v, ok := args["safeTxHash"]; ok {
		if hash, err := data(v); err != nil || len(hash) != 32 {
			return errors.New("safeTxHash: not 32 bytes")
		}
	}
	return u.Call.checkSelector(params[2:])
}

func (u *Use) safeNumbers(args map[string]strictjson.Value) error {
	read := func(key string) (*big.Int, error) {
		v, ok := args[key]
		if !ok {
			return zero(), nil
		}
		n, err := decimalNumber(v)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		return n, nil
	}
	all := map[string]*big.Int{}
	for _, key := range []string{"value", "gasPrice", "operation", "baseGas", "safeTxGas", "nonce"} {
		n, err := read(key)
		if err != nil {
			return err
		}
		all[key] = n
	}
	if all["operation"].Cmp(big.NewInt(1)) > 0 || !all["nonce"].IsUint64() {
		return errors.New("operation is neither 0 nor 1, or nonce has over 64 bits")
	}
	u.Value, u.Safe.Nonce = eth.Wei(all["value"]), all["nonce"].Uint64()
	u.Safe.Delegate, u.Safe.Refund = all["operation"].Sign() > 0, all["gasPrice"].Sign() > 0
	if v, ok := args["chainId"]; ok {
		n, err := number(v)
		if err != nil {
			return fmt.Errorf("chainId: %w", err)
		}
		if u.Chain, err = chainID(n); err != nil {
			return fmt.Errorf("chainId: %w", err)
		}
	}
	return nil
}

// decimalNumber: some of Clef's types read a text that begins with 0x as decimal
// and some as hexadecimal, so that only decimals are taken.
func decimalNumber(v strictjson.Value) (*big.Int, error) {
	n, err := number(v)
	if err == nil && len(v.Text()) > 1 && v.Text()[0] == '0' {
		return nil, errors.New("not a decimal number")
	}
	return n, err
}
