package clefguard

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/splitvault/splitvault/pkg/clefapi"
	"github.com/splitvault/splitvault/pkg/consent"
	"github.com/splitvault/splitvault/pkg/eth"
)

// typedData is what a person needs to know of typed data: what somebody who holds
// it can do comes first, and of that the worst.
func typedData(use *clefapi.Use) (deed string, details []consent.Line) {
	t := use.Typed
	add := func(label, text string) { details = append(details, consent.Line{Label: label, Text: text}) }
	deed = "sign typed data, " + t.PrimaryType
	others := t.Fields
	if permit, rest := t.Permit(); permit != nil {
		deed, details = permitted(t, permit)
		others = rest
	} else if order, rest := t.Order(); order != nil {
		deed, details = ordered(use, order)
		others = rest
	} else {
		add("Kind", kind(t))
	}
	add("Domain", strings.TrimSpace(t.Name+" "+t.Version))
	add("Contract", use.To.Checksummed())
	add("Chain", chain(use.Chain))
	const kept = 3 // lines for the question, the account and the page
	return deed, append(details, fields(others, max(consent.MaxLines-kept-len(details), 2))...)
}

// kind says what typed data is good for, if that is known by its type's name.
func kind(t *clefapi.TypedData) string {
	switch {
	case t.IsPermit():
		return "a PERMIT: whoever holds it can take tokens"
	case strings.HasSuffix(t.PrimaryType, "WithAuthorization"): // EIP-3009
		return "a PAYMENT: whoever holds it can have the tokens sent"
	case t.PrimaryType == clefapi.SafeType:
		if !slices.ContainsFunc(t.Fields, func(f clefapi.Field) bool { return f.Name == "operation" && f.Value == "0" }) {
			return "a DELEGATE CALL of a Safe: its code can do anything with the Safe"
		}
		return "a TRANSACTION of a Safe: whoever holds it can have it executed"
	case t.PrimaryType == "MetaTransaction" || t.PrimaryType == "ForwardRequest": // EIP-2771 and its like
		return "a CALL: whoever holds it can have it made in this account's name"
	case strings.HasSuffix(t.PrimaryType, "Order"):
		return "an ORDER, NOT UNDERSTOOD HERE: whoever holds it can take what it offers"
	}
	return ""
}

// shownItems bounds the lines for what a permit or an order gives, and for what an
// order gets.
const shownItems = 3

func permitted(t *clefapi.TypedData, p *clefapi.Permit) (deed string, details []consent.Line) {
	add := func(label, text string) { details = append(details, consent.Line{Label: label, Text: text}) }
	all, unlimited := len(p.Permissions), p.Unlimited()
	switch {
	case unlimited > 1:
		deed = fmt.Sprintf("let another take ALL of %d tokens (%s)", unlimited, t.PrimaryType)
	case unlimited == 1:
		deed = fmt.Sprintf("let another take ALL of a token (%s)", t.PrimaryType)
	default:
		deed = fmt.Sprintf("let another take tokens (%s)", t.PrimaryType)
	}
	add("Kind", "a PERMIT: whoever holds it can take tokens")
	for i, a := range p.Spenders {
		if i == shownItems {
			add("Spender", fmt.Sprintf("and %d more, NOT SHOWN", len(p.Spenders)-i))
			break
		}
		add("Spender", a.Checksummed())
	}
	for i, item := range p.Permissions {
		if i == shownItems && all > shownItems+1 {
			text := fmt.Sprintf("and %d more, NOT SHOWN", all-i)
			if worst := unlimited - i; worst > 0 {
				text += fmt.Sprintf(", %d of them UNLIMITED", worst)
			}
			add("May be taken", text)
			break
		}
		label := "May be taken"
		if all > 1 {
			label = fmt.Sprintf("May be taken, %d of %d", i+1, all)
		}
		add(label, permission(item))
	}
	if p.Until != nil {
		add("Can be used", until(p.Until))
	}
	return deed, details
}

func permission(p clefapi.Permission) string {
	text := "UNLIMITED"
	switch {
	case p.ID != nil:
		text = "no. " + p.ID.String()
	case p.Amount != nil:
		text = amount(p.Amount, p.Unlimited)
	}
	if p.Token != "" {
		text += " of " + p.Token.Checksummed()
	} else {
		text += " of the contract's token"
	}
	if p.Until != nil {
		text += ", " + until(p.Until)
	}
	return text
}

// until writes seconds since 1970 as a time. Nobody waits for the year 3000.
func until(seconds *big.Int) string {
	end := time.Date(3000, 1, 1, 0, 0, 0, 0, time.UTC)
	if !seconds.IsInt64() || seconds.Int64() >= end.Unix() {
		return "WITHOUT AN END"
	}
	return "until " + time.Unix(seconds.Int64(), 0).UTC().Format("2006-01-02 15:04 UTC")
}

// ordered is what an order of Seaport does. It is the account that gives; it gets
// what has the account as its recipient, and the others get the rest from whoever
// takes the order.
func ordered(use *clefapi.Use, o *clefapi.Order) (deed string, details []consent.Line) {
	mine := slices.DeleteFunc(slices.Clone(o.Gets), func(i clefapi.Item) bool {
		return i.Recipient != use.Account || i.Start.Sign() <= 0 || i.End.Sign() <= 0
	})
	what := "an ORDER"
	if o.Orders > 1 {
		what = fmt.Sprintf("%d ORDERS under one signature", o.Orders)
	}
	gets := fmt.Sprintf("this account gets %d of the %d things that are asked for", len(mine), len(o.Gets))
	deed = "swap or sell tokens (" + use.Typed.PrimaryType + ")"
	switch {
	case len(o.Gives) == 0:
		deed = "sign typed data, " + use.Typed.PrimaryType
	case len(mine) == 0:
		deed = "give tokens away FOR NOTHING (" + use.Typed.PrimaryType + ")"
		gets = "this account GETS NOTHING"
	}
	details = append(details, consent.Line{Label: "Kind", Text: fmt.Sprintf("%s: whoever holds it can take %d things, %s", what, len(o.Gives), gets)})
	details = append(details, items("Gives", o.Gives)...)
	return deed, append(details, items("Gets", mine)...)
}

func items(label string, all []clefapi.Item) []consent.Line {
	var lines []consent.Line
	for i, item := range all {
		if i == shownItems && len(all) > shownItems+1 {
			return append(lines, consent.Line{Label: label, Text: fmt.Sprintf("and %d more, NOT SHOWN", len(all)-i)})
		}
		name := label
		if len(all) > 1 {
			name = fmt.Sprintf("%s, %d of %d", label, i+1, len(all))
		}
		lines = append(lines, consent.Line{Label: name, Text: thing(item)})
	}
	return lines
}

// thing is what changes hands.
func thing(i clefapi.Item) string {
	token, number := i.Token.Checksummed(), i.Start.String()
	if i.Kind == clefapi.ItemEther {
		number = eth.Wei(i.Start).String()
	}
	if i.Start.Cmp(i.End) != 0 {
		number += ", in the end " + i.End.String()
	}
	switch i.Kind {
	case clefapi.ItemEther:
		return number + " (the chain's coin)"
	case clefapi.ItemERC20:
		return number + " (smallest units) of " + token
	case clefapi.ItemERC721, clefapi.ItemERC1155:
		return fmt.Sprintf("%s of the token no. %v of %s", number, i.ID, token)
	case clefapi.ItemAnyERC721, clefapi.ItemAnyERC1155:
		if i.ID.Sign() == 0 {
			return number + " of ANY tokens of " + token
		}
		return number + " of tokens of " + token + " that the taker chooses from a list"
	default:
		return number + " of something NOT UNDERSTOOD HERE, of " + token
	}
}
