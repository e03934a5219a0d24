package clef

import (
	"encoding/json"
	"math/big"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/signer/core/apitypes"
)

// geth --signer sends its own structure, with null for what a transaction does not
// have (accounts/external/backend.go, SignTx).
func TestWhatGethSendsIsUnderstood(t *testing.T) {
	r := newReader(t)
	recipient := common.NewMixedcaseAddress(common.HexToAddress(to))
	code, list := hexutil.Bytes{0xa9, 0x05, 0x9c, 0xbb}, types.AccessList{{Address: common.HexToAddress(to), StorageKeys: []common.Hash{{1}}}}
	number := func(n int64) *hexutil.Big { return (*hexutil.Big)(big.NewInt(n)) }
	base := apitypes.SendTxArgs{
		From: common.NewMixedcaseAddress(common.HexToAddress(from)), Gas: 21000, Value: *number(5), Nonce: 3, Input: &code, ChainID: number(1337),
	}
	legacy, creates, dynamic, listed := base, base, base, base
	legacy.To, legacy.GasPrice = &recipient, number(7)
	creates.GasPrice = number(7)
	dynamic.To, dynamic.MaxFeePerGas, dynamic.MaxPriorityFeePerGas, dynamic.AccessList = &recipient, number(9), number(1), &list
	listed.To, listed.GasPrice, listed.AccessList = &recipient, number(7), &list
	for name, args := range map[string]apitypes.SendTxArgs{"legacy": legacy, "creates": creates, "dynamic": dynamic, "listed": listed} {
		params, err := json.Marshal([]any{args})
		if err != nil {
			t.Fatal(err)
		}
		if body := []byte(req("account_signTransaction", string(params))); !compare(t, r, body) || len(r.read(body)) != 1 {
			t.Errorf("%s is not understood: %s", name, body)
		}
	}
}
