package clefguard

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/splitvault/splitvault/pkg/clefapi"
	"github.com/splitvault/splitvault/pkg/clefcall"
	"github.com/splitvault/splitvault/pkg/consent"
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
	return deed, details
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
		switch amount := strings.Contains(a.Name, "amount"); {
		case amount && c.Unlimited:
			value = "unlimited"
		case amount:
			value += " (smallest units)"
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

// shownFields bounds the lines for a message's fields.
const shownFields = 8

func data(use *clefapi.Use) (deed string, details []consent.Line) {
	add := func(label, text string) { details = append(details, consent.Line{Label: label, Text: text}) }
	switch t := use.Typed; {
	case t != nil:
		deed = "sign typed data, " + t.PrimaryType
		switch {
		case strings.HasPrefix(t.PrimaryType, "Permit"):
			add("Kind", "a PERMIT: whoever holds it can take tokens")
		case strings.HasSuffix(t.PrimaryType, "WithAuthorization"): // EIP-3009
			add("Kind", "a PAYMENT: whoever holds it can have the tokens sent")
		case t.PrimaryType == clefapi.SafeType:
			kind := "a TRANSACTION of a Safe: whoever holds it can have it executed"
			if !slices.ContainsFunc(t.Fields, func(f clefapi.Argument) bool { return f.Name == "operation" && f.Value == "0" }) {
				kind = "a DELEGATE CALL of a Safe: its code can do anything with the Safe"
			}
			add("Kind", kind)
		}
		add("Domain", strings.TrimSpace(t.Name+" "+t.Version))
		add("Contract", use.To.Checksummed())
		add("Chain", chain(use.Chain))
		for i, f := range t.Fields {
			if i == shownFields {
				add("Field", fmt.Sprintf("and %d more, NOT SHOWN", len(t.Fields)-i))
				break
			}
			add("Field", f.Name+": "+f.Value)
		}
	case use.ContentType == "text/plain":
		deed = "sign a text"
		if !isText(use.Text) {
			deed = "sign bytes that are NO TEXT"
			add("Kind", "it can be the hash of anything, as of a Safe's transaction or an order")
		}
		add("Text", string(use.Text))
		add("Length", fmt.Sprintf("%d bytes", len(use.Text)))
	case use.ContentType == "data/validator":
		deed = "sign data for a contract"
		add("Contract", use.To.Checksummed())
		add("Data", fmt.Sprintf("%x", use.Text[:min(len(use.Text), 64)]))
		add("Length", fmt.Sprintf("%d bytes", len(use.Text)))
	default:
		deed = "SEAL A BLOCK of a chain"
		add("Length", fmt.Sprintf("%d bytes", len(use.Text)))
	}
	return deed, details
}

// isText tells whether people could read it, in whatever script.
func isText(b []byte) bool {
	return utf8.Valid(b) && !bytes.ContainsFunc(b, func(r rune) bool { return unicode.IsControl(r) && !strings.ContainsRune("\t\n\r", r) })
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
