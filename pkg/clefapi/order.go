package clefapi

import (
	"math/big"
	"strings"

	"github.com/splitvault/splitvault/pkg/eth"
)

// Item is what changes hands in an order of Seaport: one of its OfferItem and
// ConsiderationItem.
type Item struct {
	Kind  int64 // one of those below; -1: not understood
	Token eth.Address
	ID    *big.Int // of the token, or criteria that choose it
	// Start and End are amounts, at the order's start and at its end.
	Start, End *big.Int
	Recipient  eth.Address // "" of what is given
}

// The kinds of items, in Seaport's numbers (its enum ItemType).
const (
	ItemEther int64 = iota
	ItemERC20
	ItemERC721
	ItemERC1155
	ItemAnyERC721
	ItemAnyERC1155
)

// Order is what an order of Seaport, or many under one signature, give and get.
type Order struct {
	Orders int
	Gives  []Item
	Gets   []Item // by whomever
}

// IsOrder tells whether the message is one of Seaport's by its type's name.
func (t *TypedData) IsOrder() bool {
	return t.PrimaryType == "OrderComponents" || t.PrimaryType == "BulkOrder"
}

// Order returns what an order gives and gets, and the fields that say nothing of
// that. nil: it is no order of Seaport, or none that is understood.
func (t *TypedData) Order() (o *Order, others []Field) {
	if !t.IsOrder() {
		return nil, t.Fields
	}
	o = &Order{}
	orders := map[string]bool{}
	before := ""
	for _, f := range t.Fields {
		within, own := f.Within()
		if own == "offerer" {
			orders[within] = true
		}
		list := o.list(within)
		if list == nil {
			if empty := f.Value == "empty" && (own == "offer" || own == "consideration"); !empty {
				others = append(others, f)
			}
			continue
		}
		if within != before {
			*list = append(*list, Item{Kind: -1, ID: zero(), Start: zero(), End: zero()})
			before = within
		}
		(*list)[len(*list)-1].take(own, f)
	}
	o.Orders = len(orders)
	return o, others
}

// list returns the list that an item is in by its name: "offer[3]" or, in a tree of
// orders, "tree[0][1].consideration[2]". nil: it is no item.
func (o *Order) list(item string) *[]Item {
	own, _, listed := strings.Cut(item[strings.LastIndexByte(item, '.')+1:], "[")
	switch {
	case listed && own == "offer":
		return &o.Gives
	case listed && own == "consideration":
		return &o.Gets
	}
	return nil
}

// take reads a field of an item.
func (i *Item) take(own string, f Field) {
	switch address := eth.Address(strings.ToLower(f.Value)); {
	case f.Kind == "address" && own == "token":
		i.Token = address
	case f.Kind == "address" && own == "recipient":
		i.Recipient = address
	case f.Number == nil:
	case own == "itemType" && f.Number.IsInt64() && f.Number.Int64() <= ItemAnyERC1155:
		i.Kind = f.Number.Int64()
	case own == "identifierOrCriteria":
		i.ID = f.Number
	case own == "startAmount":
		i.Start = f.Number
	case own == "endAmount":
		i.End = f.Number
	}
}
