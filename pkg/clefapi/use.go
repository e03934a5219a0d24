package clefapi

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/splitvault/splitvault/pkg/eth"
	"github.com/splitvault/splitvault/pkg/jsonrpc"
	"github.com/splitvault/splitvault/pkg/strictjson"
)

var (
	// ErrUnknown says that Clef has no such method.
	ErrUnknown = errors.New("a method that Clef does not have")
	// ErrParams says that a request is not understood.
	ErrParams = errors.New("params that are not understood")
)

// Use is what a request would do.
type Use struct {
	Method  string
	Account eth.Address // "" for methods that are not about one
	Chain   int64       // 0 where it is not said: a transaction is for the signer's own then
	// To is the recipient of a transaction, "" if it creates a contract; of typed
	// data it is the contract that verifies it, "" if it names none.
	To    eth.Address
	Value eth.Amount // none for what moves no ether by itself
	Call  Call       // of a transaction
	// Transaction, Safe, Typed and Text: at most one of them is there.
	Transaction *Transaction
	Safe        *SafeTransaction
	Typed       *TypedData
	Text        []byte // of account_signData, as its ContentType wants it
	ContentType string // of account_signData
	// Digest is the SHA-256 of the params: equal digests are equal requests.
	Digest string
}

// Creates tells whether it is a transaction that creates a contract.
func (u *Use) Creates() bool { return u.Transaction != nil && u.To == "" }

// Parse understands a request.
func Parse(r jsonrpc.Request) (*Use, error) {
	sum := sha256.Sum256(r.AppendParams(nil))
	u := &Use{Method: r.Method, Digest: hex.EncodeToString(sum[:])}
	var err error
	switch r.Method {
	case Version, List, New, Modules:
		err = count(r.Params, 0, 0)
	case EcRecover:
		err = recovers(r.Params)
	case SignData:
		err = u.signData(r.Params)
	case SignTypedData:
		err = u.signTypedData(r.Params)
	case SignTransaction:
		err = u.signTransaction(r.Params)
	case SignSafe:
		err = u.signSafe(r.Params)
	default:
		return nil, fmt.Errorf("%w: %.64q", ErrUnknown, r.Method)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrParams, err)
	}
	return u, nil
}

// count checks how many params there are.
func count(params []strictjson.Value, least, most int) error {
	if len(params) < least || len(params) > most {
		return fmt.Errorf("%d of them, not %d to %d", len(params), least, most)
	}
	return nil
}

// recovers checks the params of account_ecRecover, which needs no account.
func recovers(params []strictjson.Value) error {
	if err := count(params, 2, 2); err != nil {
		return err
	}
	for _, p := range params {
		if _, err := data(p); err != nil {
			return err
		}
	}
	return nil
}

func (u *Use) signData(params []strictjson.Value) error {
	if err := count(params, 3, 3); err != nil {
		return err
	}
	contentType, err := text(params[0])
	if err != nil {
		return fmt.Errorf("content type: %w", err)
	}
	if u.Account, err = address(params[1]); err != nil {
		return fmt.Errorf("account: %w", err)
	}
	u.ContentType = contentType
	switch contentType {
	case "text/plain":
		u.Text, err = data(params[2])
	case "data/typed":
		u.Typed, err = typedInHex(params[2])
		u.believe()
	case "data/validator":
		u.To, u.Text, err = validatorData(params[2])
	case "application/x-clique-header":
		u.Text, err = data(params[2])
	default: // Clef takes all others for text/plain, and so would show another one
		return fmt.Errorf("content type %.60q: text/plain, data/typed, data/validator or application/x-clique-header", contentType)
	}
	if err != nil {
		return fmt.Errorf("data: %w", err)
	}
	return nil
}

// ContentTypes returns the content types that account_signData is understood with.
func ContentTypes() []string {
	return []string{"text/plain", "data/typed", "data/validator", "application/x-clique-header"}
}

func validatorData(v strictjson.Value) (eth.Address, []byte, error) {
	o, err := object(v, "address", "message")
	if err != nil {
		return "", nil, err
	}
	validator, err := address(o["address"])
	if err != nil {
		return "", nil, fmt.Errorf("validator: %w", err)
	}
	message, err := data(o["message"])
	return validator, message, err
}

func (u *Use) signTypedData(params []strictjson.Value) error {
	if err := count(params, 2, 2); err != nil {
		return err
	}
	var err error
	if u.Account, err = address(params[0]); err != nil {
		return fmt.Errorf("account: %w", err)
	}
	u.Typed, err = typedData(params[1])
	u.believe()
	return err
}

// believe takes over what the domain of typed data says.
func (u *Use) believe() {
	if u.Typed != nil {
		u.Chain, u.To = u.Typed.Chain, u.Typed.Contract
	}
}
