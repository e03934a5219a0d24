package clefapi

import "slices"

// The methods of the API.
const (
	Version         = "account_version"
	List            = "account_list"
	New             = "account_new"
	EcRecover       = "account_ecRecover"
	SignData        = "account_signData"
	SignTypedData   = "account_signTypedData"
	SignTransaction = "account_signTransaction"
	SignSafe        = "account_signGnosisSafeTx"
	Modules         = "rpc_modules"
)

// Has says which properties the requests of a method can have.
type Has struct {
	Signs       bool // it makes a signature
	Account     bool // it is about one account, or lists them
	Chain       bool
	To          bool // a recipient; of typed data, the contract that verifies it
	Value       bool // an amount of ether
	Fee         bool // what the account pays for gas
	Call        bool // call data for a contract
	ContentType bool
}

// Methods returns the names of all methods.
func Methods() []string {
	return []string{Version, List, New, EcRecover, SignData, SignTypedData, SignTransaction, SignSafe, Modules}
}

// Known tells whether Clef has the method.
func Known(method string) bool { return slices.Contains(Methods(), method) }

// PropertiesOf returns what requests of a method can have.
func PropertiesOf(method string) Has {
	switch method {
	case List:
		return Has{Account: true}
	case SignData: // data/typed has a chain and a contract
		return Has{Signs: true, Account: true, Chain: true, To: true, ContentType: true}
	case SignTypedData:
		return Has{Signs: true, Account: true, Chain: true, To: true}
	case SignTransaction:
		return Has{Signs: true, Account: true, Chain: true, To: true, Value: true, Fee: true, Call: true}
	case SignSafe:
		return Has{Signs: true, Account: true, Chain: true, To: true, Value: true, Call: true}
	default:
		return Has{}
	}
}
