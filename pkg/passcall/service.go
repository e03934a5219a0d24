package passcall

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/splitvault/splitvault/pkg/entryname"
	"github.com/splitvault/splitvault/pkg/passcode"
	"github.com/splitvault/splitvault/pkg/passproto"
	"github.com/splitvault/splitvault/pkg/qrexec"
)

// Services returns the service of each verb that is a call.
func Services() map[passproto.Verb]string {
	return map[passproto.Verb]string{
		passproto.List:     "pass.ListPasswords",
		passproto.Get:      "pass.GetPassword",
		passproto.Field:    "pass.GetField",
		passproto.Find:     "pass.FindLogin",
		passproto.Insert:   "pass.InsertPassword",
		passproto.Generate: "pass.GeneratePassword",
	}
}

// errTooLong is the answer to a name that no call of the verb can carry.
var errTooLong = &passproto.Error{Code: passcode.TooLarge, Text: "the name is too long for the argument of a qrexec call (255 bytes, encoded)"}

// plan returns what is called for a request, and what goes to its standard input
// before the body.
func plan(r passproto.Request, scope entryname.Scope) (qrexec.Service, string, error) {
	service, known := Services()[r.Verb]
	if !known {
		return "", "", &passproto.Error{Code: passcode.BadRequest, Text: fmt.Sprintf("no call is made for %s", r.Verb)}
	}
	argument := entryname.Argument{Name: r.Name, Field: r.Field, Scope: r.Scope}
	call, err := argument.Call(service)
	input := ""
	switch r.Verb {
	case passproto.Find:
		call, err = entryname.HostCall(service, r.Host)
	case passproto.Get, passproto.Field:
		inScope := scope != "" && scope.Has(r.Name)
		if inScope || errors.Is(err, entryname.ErrTooLong) {
			input = string(r.Name) + "\n"
			if r.Field != "" {
				input += string(r.Field) + "\n"
			}
			argument = entryname.Argument{}
			if inScope {
				argument.Scope = scope
			}
			call, err = argument.Call(service)
		}
	case passproto.Generate:
		input = options(r)
	}
	if errors.Is(err, entryname.ErrTooLong) {
		return "", "", errTooLong
	}
	if err != nil {
		return "", "", err
	}
	checked, err := qrexec.ParseService(call)
	return checked, input, err
}

// options is the standard input of pass.GeneratePassword.
func options(r passproto.Request) string {
	text := ""
	if r.Length > 0 {
		text += "len=" + strconv.Itoa(r.Length) + "\n"
	}
	if r.NoSymbols {
		text += "nosym\n"
	}
	return text
}
