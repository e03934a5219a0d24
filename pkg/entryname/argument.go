package entryname

import (
	"errors"
	"fmt"
	"strings"
)

// MaxCall bounds SERVICE+ARG, in bytes: longer ones wedge the agent of the calling
// qube from 3936 bytes on, and have no file of their own over 255.
const MaxCall = 255

// ErrTooLong says that a name does not fit into the argument of a call; where the
// service reads one, it goes to standard input.
var ErrTooLong = errors.New("too long for the argument of a call")

// Argument is what the argument of a call can say: nothing, an entry, a field of an
// entry, or a scope. At most one of Name and Scope is set, Field only with Name.
type Argument struct {
	Name  Name
	Field Field
	Scope Scope
}

// ParseArgument reads the argument of a call; empty is the zero Argument.
func ParseArgument(untrusted string) (Argument, error) {
	if untrusted == "" {
		return Argument{}, nil
	}
	untrustedName, untrustedField, hasField := strings.Cut(untrusted, "__")
	decoded, err := Decode(untrustedName)
	if err != nil {
		return Argument{}, err
	}
	if !hasField && strings.HasSuffix(decoded, "/") {
		scope, err := ParseScope(decoded)
		return Argument{Scope: scope}, err
	}
	name, err := Parse(decoded)
	if err != nil || !hasField {
		return Argument{Name: name}, err
	}
	decoded, err = Decode(untrustedField)
	if err != nil {
		return Argument{}, err
	}
	field, err := ParseField(decoded)
	if err != nil {
		return Argument{}, err
	}
	return Argument{Name: name, Field: field}, nil
}

// String is the argument's spelling.
func (a Argument) String() string {
	switch {
	case a.Field != "":
		return Encode(string(a.Name)) + "__" + Encode(string(a.Field))
	case a.Name != "":
		return Encode(string(a.Name))
	default:
		return Encode(string(a.Scope))
	}
}

// Call returns SERVICE+ARG for qrexec, or [ErrTooLong].
func (a Argument) Call(service string) (string, error) { return join(service, a.String()) }

// HostCall returns SERVICE+ARG for a service whose argument is a host, such as
// "example.com" or "example.com:8443".
func HostCall(service, host string) (string, error) { return join(service, Encode(host)) }

func join(service, argument string) (string, error) {
	call := service
	if argument != "" {
		call += "+" + argument
	}
	if len(call) > MaxCall {
		return "", fmt.Errorf("calling %s: %d bytes, at most %d: %w", service, len(call), MaxCall, ErrTooLong)
	}
	return call, nil
}
