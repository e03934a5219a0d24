// Command geth uses a signer as geth does: by go-ethereum's own client of JSON-RPC,
// and by the package behind geth --signer. It prints what it was given, one line a
// step, and checks each signature by recovering the account.
//
//	geth http://localhost:8550
//	geth /home/user/.clef/clef.ipc
package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
	"os"

	"github.com/ethereum/go-ethereum/accounts"
	"github.com/ethereum/go-ethereum/accounts/external"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rpc"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: geth URL|SOCKET")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "geth:", err)
		os.Exit(1)
	}
}

func run(endpoint string) error {
	client, err := rpc.Dial(endpoint)
	if err != nil {
		return err
	}
	defer client.Close()
	var version string
	if err := client.Call(&version, "account_version"); err != nil {
		return err
	}
	fmt.Println("version", version)
	batch := []rpc.BatchElem{{Method: "account_version", Result: new(string)}, {Method: "account_list", Result: new([]common.Address)}}
	if err := errors.Join(client.BatchCall(batch), batch[0].Error, batch[1].Error); err != nil {
		return err
	}
	fmt.Println("batch", *batch[0].Result.(*string), *batch[1].Result.(*[]common.Address))
	var missing any
	err = client.Call(&missing, "eth_chainId")
	var coded rpc.Error
	if !errors.As(err, &coded) {
		return fmt.Errorf("eth_chainId: %v", err)
	}
	fmt.Println("eth_chainId", coded.ErrorCode())

	signer, err := external.NewExternalSigner(endpoint) // what geth --signer makes
	if err != nil {
		return err
	}
	all := signer.Accounts()
	if len(all) != 1 {
		return fmt.Errorf("%d accounts", len(all))
	}
	fmt.Println("accounts", all[0].Address)
	return sign(signer, all[0])
}

func sign(signer *external.ExternalSigner, account accounts.Account) error {
	signature, err := signer.SignText(account, []byte("hello"))
	if err != nil {
		return err
	}
	recoverable := bytes.Clone(signature)
	if recoverable[64] >= 27 {
		recoverable[64] -= 27
	}
	key, err := crypto.SigToPub(accounts.TextHash([]byte("hello")), recoverable)
	if err != nil {
		return err
	}
	fmt.Println("text", crypto.PubkeyToAddress(*key))
	to := common.HexToAddress("0x1111111111111111111111111111111111111111")
	chain := big.NewInt(1337)
	tx, err := signer.SignTx(account, types.NewTx(&types.DynamicFeeTx{
		ChainID: chain, To: &to, Gas: 21000, GasFeeCap: big.NewInt(1e9), GasTipCap: big.NewInt(1e9), Value: big.NewInt(1),
	}), chain)
	if err != nil {
		return err
	}
	from, err := types.Sender(types.LatestSignerForChainID(chain), tx)
	if err != nil {
		return err
	}
	fmt.Println("transaction", from, tx.Hash())
	return nil
}
