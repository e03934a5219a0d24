package clefguard

import (
	"crypto/sha256"
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"github.com/splitvault/splitvault/pkg/clefapi"
	"github.com/splitvault/splitvault/pkg/clefcall"
	"github.com/splitvault/splitvault/pkg/consent"
	"github.com/splitvault/splitvault/pkg/eth"
	"github.com/splitvault/splitvault/pkg/rules"
)

// question is what a person is told of a use: in the first line what happens, then
// to whom, how much and where.
func (g *Guard) question(from clefcall.Preamble, use *clefapi.Use) *consent.Clef {
	q := &consent.Clef{
		Qube: g.Qube, Origin: string(from.Origin), Method: use.Method, Account: use.Account.Checksummed(), Digest: use.Digest,
	}
	switch use.Method {
	case clefapi.SignTransaction:
		q.Deed, q.Details = transaction(use)
	case clefapi.SignSafe:
		q.Deed, q.Details = safe(use)
	case clefapi.SignTypedData, clefapi.SignData:
		q.Deed, q.Details = data(use)
	case clefapi.New:
		q.Deed = "have a new account made"
	default:
		q.Deed = "call " + use.Method
	}
	return q
}

// shownAccounts bounds the lines for accounts.
const shownAccounts = 10

// listQuestion is about those accounts of which rules speak, or all.
func (g *Guard) listQuestion(q *consent.Clef, accounts []rules.Account) *consent.Clef {
	q.Deed = "see accounts of this vault"
	if accounts == nil {
		q.Details = []consent.Line{{Label: "Accounts", Text: "all that Clef shows"}}
		q.Digest = "all accounts"
		return q
	}
	sum := sha256.New()
	for i, a := range accounts {
		if fmt.Fprintln(sum, a.Address); i >= shownAccounts {
			continue
		}
		q.Details = append(q.Details, consent.Line{Label: "Account", Text: a.Checksummed()})
	}
	if more := len(accounts) - shownAccounts; more > 0 {
		q.Details = append(q.Details, consent.Line{Label: "Accounts", Text: fmt.Sprintf("and %d more, NOT SHOWN", more)})
	}
	q.Digest = fmt.Sprintf("accounts %x", sum.Sum(nil))
	return q
}

// transaction is what a person needs to know of a transaction.
func transaction(use *clefapi.Use) (deed string, details []consent.Line) {
	add := func(label, text string) { details = append(details, consent.Line{Label: label, Text: text}) }
	switch {
	case use.Creates():
		deed = fmt.Sprintf("create a contract and send it %v", use.Value)
		add("To", fmt.Sprintf("a NEW CONTRACT, %d bytes of code", len(use.Call.Data)))
	default:
		deed = callDeed(use)
		add("To", use.To.Checksummed())
	}
	add("Amount", use.Value.String())
	details = append(details, callLines(use)...)
	add("Chain", chain(use.Chain))
	add("Fee", "at most "+use.Transaction.MaxFee.String())
	add("Nonce", strconv.FormatUint(use.Transaction.Nonce, 10))
	add("Access list", accessList(use.Transaction))
	return deed, details
}

// shownContracts bounds the addresses of an access list that are shown. It makes
// nothing possible that would not be so without it.
const shownContracts = 2

func accessList(t *clefapi.Transaction) string {
	if len(t.AccessList) == 0 {
		return ""
	}
	text := fmt.Sprintf("%d contracts, %d storage keys:", len(t.AccessList), t.StorageKeys)
	for i, a := range t.AccessList {
		if i == shownContracts {
			return text + fmt.Sprintf(" and %d more, NOT SHOWN", len(t.AccessList)-i)
		}
		text += " " + a.Checksummed()
	}
	return text
}

// callDeed says in a few words what a transaction to somebody does.
func callDeed(use *clefapi.Use) string {
	switch c := use.Call; {
	case len(c.Data) == 0:
		return fmt.Sprintf("send %v", use.Value)
	case c.Unlimited:
		return fmt.Sprintf("let another take ALL of a token (%s)", c.Function)
	case gives(c.Function):
		return fmt.Sprintf("let another take tokens (%s)", c.Function)
	case c.Function != "":
		return fmt.Sprintf("call %s and send %v", c.Function, use.Value)
	default:
		return fmt.Sprintf("call a contract and send %v", use.Value)
	}
}

// gives tells whether a function lets others take tokens later.
func gives(function string) bool {
	return function == "approve" || function == "increaseAllowance" || function == "setApprovalForAll"
}

func callLines(use *clefapi.Use) []consent.Line {
	c := use.Call
	if len(c.Data) == 0 || use.Creates() {
		return nil
	}
	if c.Function == "" {
		return []consent.Line{{Label: "Call", Text: fmt.Sprintf("%s, %d bytes: NOT UNDERSTOOD HERE", c.Selector(), len(c.Data))}}
	}
	name := c.Function
	if c.Unlimited {
		name += ", UNLIMITED"
	}
	lines := []consent.Line{{Label: "Call", Text: name}}
	for _, a := range c.Arguments {
		value := a.Value
		if n, ok := new(big.Int).SetString(value, 10); ok && strings.Contains(a.Name, "amount") {
			value = amount(n, c.Unlimited || eth.Boundless(n, 256))
		}
		lines = append(lines, consent.Line{Label: strings.ToUpper(a.Name[:1]) + a.Name[1:] + " (call)", Text: value})
	}
	return lines
}

func safe(use *clefapi.Use) (deed string, details []consent.Line) {
	add := func(label, text string) { details = append(details, consent.Line{Label: label, Text: text}) }
	deed = callDeed(use) + " out of a Safe"
	if use.Safe.Delegate {
		deed = "run foreign code AS the Safe itself"
		add("Kind", "DELEGATE CALL: the code can take all that the Safe has")
	}
	add("Safe", use.Safe.Safe.Checksummed())
	add("To", use.To.Checksummed())
	add("Amount", use.Value.String())
	details = append(details, callLines(use)...)
	if use.Safe.Refund {
		add("Refund", "THE SAFE PAYS FOR THE GAS, as the request says how much")
	}
	add("Chain", chain(use.Chain))
	add("Nonce", strconv.FormatUint(use.Safe.Nonce, 10))
	return deed, details
}

// amount is one of a token, whose places nobody knows here. One that bounds nothing
// is called so, with the number: what a token takes for it is the token's matter.
func amount(n *big.Int, unlimited bool) string {
	text := n.String()
	if name := eth.PowerName(n); name != "" {
		text += " (" + name + ")"
	}
	if unlimited {
		return "UNLIMITED: " + text
	}
	return text + " (smallest units)"
}

// chain names the chains that people know by name.
func chain(id int64) string {
	names := map[int64]string{
		1: "Ethereum", 10: "OP", 56: "BNB", 100: "Gnosis", 137: "Polygon", 8453: "Base", 42161: "Arbitrum One", 43114: "Avalanche",
		11155111: "Sepolia, for tests", 17000: "Holesky, for tests", 560048: "Hoodi, for tests", 1337: "a local one, for tests", 31337: "a local one, for tests",
	}
	switch name, known := names[id]; {
	case id == 0:
		return "not said"
	case known:
		return fmt.Sprintf("%d (%s)", id, name)
	default:
		return strconv.FormatInt(id, 10)
	}
}
