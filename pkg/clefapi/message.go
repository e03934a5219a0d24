package clefapi

import (
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/splitvault/splitvault/pkg/eth"
	"github.com/splitvault/splitvault/pkg/strictjson"
)

// Field is one value of a message of typed data.
type Field struct {
	// Name is where it is: "value", "details.amount", "details[2].token".
	Name string
	Kind string // its type: "uint160"
	// Value is an address with its checksum, a whole number in decimal, and all else
	// as it is written; "empty" of a list without items.
	Value string
	// Number is the value of a whole number; else nil.
	Number *big.Int
}

// Within returns the name of what the field lies in, "details[2]", and its own.
func (f Field) Within() (within, own string) {
	if i := strings.LastIndexByte(f.Name, '.'); i >= 0 {
		return f.Name[:i], f.Name[i+1:]
	}
	return "", f.Name
}

// Bits is the size of a whole number's type, 0 of other types.
func (f Field) Bits() int {
	digits, ok := strings.CutPrefix(strings.TrimPrefix(f.Kind, "u"), "int")
	if !ok {
		return 0
	}
	if digits == "" {
		return 256
	}
	n, err := strconv.Atoi(digits)
	if err != nil || n <= 0 || n > 256 || strconv.Itoa(n) != digits {
		return 0
	}
	return n
}

const (
	maxFields = 1 << 14 // of a message
	maxName   = 1024    // bytes of where a field is
)

// message collects the values of a message, in the order of its types. All that Clef
// signs is among them; what does not fit its type, which Clef would refuse, is
// refused.
type message struct {
	types  typeSet
	fields []Field
}

func (m *message) structure(v strictjson.Value, declared []field, within string) error {
	if v.Kind() != strictjson.Object {
		return fmt.Errorf("%v, where an object is wanted", v.Kind())
	}
	if len(declared) != len(v.Keys()) {
		return errors.New("its fields are not those of its type")
	}
	for i, f := range declared {
		value, ok := v.Get(f.name)
		if !ok || slices.ContainsFunc(declared[:i], func(before field) bool { return before.name == f.name }) {
			return fmt.Errorf("the field %s is missing, or there twice", f.name)
		}
		if err := m.value(value, f.kind, within+f.name); err != nil {
			return err
		}
	}
	return nil
}

func (m *message) value(v strictjson.Value, kind, name string) error {
	if len(name) > maxName {
		return fmt.Errorf("%.60q is too deep", name)
	}
	base, _, list := strings.Cut(kind, "[")
	switch {
	case list && (v.Kind() != strictjson.Array || !strings.HasSuffix(kind, "]")):
		return fmt.Errorf("%.60s: no %.60s", name, kind)
	case list:
		return m.list(v, base, name)
	case m.types[kind] != nil:
		return m.structure(v, m.types[kind], name+".")
	default:
		return m.leaf(v, kind, name)
	}
}

// list reads the items of a list. As Clef does, it goes by their own shape where
// lists lie in each other.
func (m *message) list(v strictjson.Value, base, name string) error {
	if len(v.Items()) == 0 {
		return m.add(Field{Name: name, Kind: base + "[]", Value: "empty"})
	}
	for i, item := range v.Items() {
		kind := base
		if item.Kind() == strictjson.Array {
			kind += "[]"
		}
		if err := m.value(item, kind, fmt.Sprintf("%s[%d]", name, i)); err != nil {
			return err
		}
	}
	return nil
}

func (m *message) leaf(v strictjson.Value, kind, name string) error {
	f := Field{Name: name, Kind: kind, Value: v.Text()}
	var err error
	switch {
	case v.Kind() == strictjson.Array || v.Kind() == strictjson.Object || v.Kind() == strictjson.Null:
		err = fmt.Errorf("%v, where a value is wanted", v.Kind())
	case kind == "address":
		var a eth.Address
		// Clef looks at no checksum here, and needs no 0x.
		a, err = eth.ParseAddress("0x" + strings.ToLower(strings.TrimPrefix(v.Text(), "0x")))
		f.Value = a.Checksummed()
	case f.Bits() > 0:
		if f.Number, err = integer(v); err == nil {
			f.Value = f.Number.String()
		}
	}
	if err != nil {
		return fmt.Errorf("%.60s: %w", name, err)
	}
	return m.add(f)
}

func (m *message) add(f Field) error {
	if len(m.fields) == maxFields {
		return fmt.Errorf("over %d values: nobody can be shown that many", maxFields)
	}
	m.fields = append(m.fields, f)
	return nil
}

// integer is a whole number, which can be below zero, in a spelling that has one
// reading.
func integer(v strictjson.Value) (*big.Int, error) {
	if v.Kind() != strictjson.String && v.Kind() != strictjson.Number {
		return nil, fmt.Errorf("%v, where a number is wanted", v.Kind())
	}
	digits, negative := strings.CutPrefix(v.Text(), "-")
	n, err := eth.ParseNumber(digits)
	if err == nil && negative {
		n.Neg(n)
	}
	return n, err
}
