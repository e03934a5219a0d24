package clefapi

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/splitvault/splitvault/pkg/eth"
	"github.com/splitvault/splitvault/pkg/strictjson"
)

// Call is call data for a contract.
type Call struct {
	Data []byte
	// Function is the function that it calls, if it is one of those that move or
	// give away tokens and the arguments are what it takes: "transfer".
	Function  string
	Arguments []Argument
	// Unlimited: it lets another take all of a token, now and later.
	Unlimited bool
}

// Argument is one argument of a function that is known.
type Argument struct{ Name, Value string }

// None is how a rule names the absence of call data.
const None = "none"

// Selector is how a rule names the function that is called: [None], or the first
// four bytes, "0xa9059cbb". What is shorter than that is "0x".
func (c Call) Selector() string {
	switch {
	case len(c.Data) == 0:
		return None
	case len(c.Data) < 4:
		return "0x"
	default:
		return "0x" + hex.EncodeToString(c.Data[:4])
	}
}

// Names returns what rules can call it by: its selector, and the function's name
// if it is known.
func (c Call) Names() []string {
	if c.Function == "" {
		return []string{c.Selector()}
	}
	return []string{c.Selector(), c.Function}
}

// function is one that moves tokens or lets others move them.
type function struct {
	selector  string // of the call data, in hexadecimal
	name      string
	types     string // of the arguments, as the selector's hash has them
	arguments string // their names
}

// functions are those of ERC-20, ERC-721, ERC-1155 and of wrapped ether whose
// arguments all take 32 bytes.
func functions() []function {
	return []function{
		{"a9059cbb", "transfer", "address,uint256", "to,amount"},
		{"23b872dd", "transferFrom", "address,address,uint256", "from,to,amount or token"},
		{"095ea7b3", "approve", "address,uint256", "spender,amount or token"},
		{"39509351", "increaseAllowance", "address,uint256", "spender,amount"},
		{"a457c2d7", "decreaseAllowance", "address,uint256", "spender,amount"},
		{"a22cb465", "setApprovalForAll", "address,bool", "operator,all tokens"},
		{"42842e0e", "safeTransferFrom", "address,address,uint256", "from,to,token"},
		{"d0e30db0", "deposit", "", ""},
		{"2e1a7d4d", "withdraw", "uint256", "amount"},
	}
}

// FunctionNames returns the names of all functions that are known.
func FunctionNames() []string {
	var names []string
	for _, f := range functions() {
		names = append(names, f.name)
	}
	return names
}

// CallNames returns what rules can call a call by that has this name: a selector is
// that of a known function without arguments that fit.
func CallNames(name string) []string {
	for _, f := range functions() {
		if f.name == name {
			return []string{"0x" + f.selector, name}
		}
	}
	return []string{name}
}

func parseCall(code []byte) Call {
	c := Call{Data: code}
	for _, f := range functions() {
		if c.Selector() != "0x"+f.selector {
			continue
		}
		if arguments, ok := f.decode(code[4:]); ok {
			c.Function, c.Arguments = f.name, arguments
			c.Unlimited = f.unlimited(code[4:])
		}
	}
	return c
}

// decode reads the arguments, each of 32 bytes.
func (f function) decode(code []byte) ([]Argument, bool) {
	if f.types == "" {
		return nil, len(code) == 0
	}
	types, names := strings.Split(f.types, ","), strings.Split(f.arguments, ",")
	if len(code) != 32*len(types) {
		return nil, false
	}
	var all []Argument
	for i, kind := range types {
		value, ok := word(kind, [32]byte(code[32*i:]))
		if !ok {
			return nil, false
		}
		all = append(all, Argument{names[i], value})
	}
	return all, true
}

// word reads one argument.
func word(kind string, b [32]byte) (string, bool) {
	n := new(big.Int).SetBytes(b[:])
	switch kind {
	case "address":
		return eth.AddressOf([20]byte(b[12:])).Checksummed(), n.BitLen() <= 160
	case "bool":
		return map[bool]string{true: "yes", false: "no"}[n.Sign() > 0], n.BitLen() <= 1
	default:
		return n.String(), true
	}
}

// unlimited: as good as all there is of a token, or all tokens. What transfer takes
// is gone with it, which its amount says.
func (f function) unlimited(code []byte) bool {
	switch f.name {
	case "approve", "increaseAllowance":
		return eth.Boundless(new(big.Int).SetBytes(code[32:64]), 256)
	case "setApprovalForAll":
		return code[63] == 1
	default:
		return false
	}
}

// checkSelector looks at account_signTransaction's last param, a function's
// signature. Clef shows it, and keeps it for later. Four bytes fit many names, so
// only those that are known here may be given.
func (c Call) checkSelector(params []strictjson.Value) error {
	if len(params) == 0 || params[0].Kind() == strictjson.Null {
		return nil
	}
	given, err := text(params[0])
	if err != nil {
		return fmt.Errorf("method selector: %w", err)
	}
	for _, f := range functions() {
		if "0x"+f.selector == c.Selector() && given == f.name+"("+f.types+")" {
			return nil
		}
	}
	return errors.New("method selector: not the known signature of this call; leave it out")
}

func zero() *big.Int { return new(big.Int) }
