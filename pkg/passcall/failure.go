package passcall

import (
	"errors"
	"fmt"

	"github.com/splitvault/splitvault/pkg/passcode"
	"github.com/splitvault/splitvault/pkg/passproto"
	"github.com/splitvault/splitvault/pkg/qrexec"
	"github.com/splitvault/splitvault/pkg/secret"
)

// Failure is a call that ended without an answer.
type Failure struct {
	No      passproto.Error // for the client
	Outcome qrexec.Outcome  // for the journal
	Cause   string          // a word that is the same for equal causes
}

func (f *Failure) Error() string { return f.No.Text }

func (f *Failure) Unwrap() error { return &f.No }

// unplaced is for a client program that did not start.
func (c *Caller) unplaced(service qrexec.Service, err error) error {
	if errors.Is(err, qrexec.ErrNoClient) {
		err = qrexec.ErrNoClient
	}
	return &Failure{
		No:      passproto.Error{Code: passcode.Qrexec, Text: fmt.Sprintf("calling %s: %v", service, err)},
		Outcome: qrexec.Outcome{Code: -1}, Cause: "no-client",
	}
}

// failure puts in words how a call ended. No byte of the vault's is in them.
func (c *Caller) failure(service qrexec.Service, o qrexec.Outcome, readErr error) error {
	f := &Failure{Outcome: o, Cause: o.Cause()}
	switch {
	case errors.Is(readErr, secret.ErrTooLarge):
		f.Cause = "too-large"
		f.No = passproto.Error{Code: passcode.TooLarge, Text: "the answer is larger than 1 MiB"}
		return f
	case o.Code >= int(passcode.NotFound) && o.Code <= int(passcode.NoField):
		code := passcode.Of(o.Code)
		f.Cause = code.Token()
		f.No = passproto.Error{Code: code, Text: advice(code)}
		return f
	}
	f.No = passproto.Error{Code: codeOf(o), Text: o.Explain(c.Self, c.Target, service)}
	return f
}

// codeOf is the code of a call that ended otherwise than by a guard's own word.
// Exit code 1 is qrexec's and a guard's; the text says both.
func codeOf(o qrexec.Outcome) passcode.Code {
	switch o.Cause() {
	case "refused":
		return passcode.Denied
	case "no-service":
		return passcode.NoService
	case "qrexec-problem", "broken", "client-killed", "client-error":
		return passcode.Qrexec
	case "usage":
		return passcode.BadRequest
	default:
		return passcode.Internal
	}
}

// advice is a guard's no, with what can be done about it.
func advice(code passcode.Code) string {
	switch code {
	case passcode.NotFound:
		return "no such entry, or none that this qube may have (in the vault: splitvault log)"
	case passcode.Refused:
		return "refused in the vault, by a person or a rule (in the vault: splitvault log)"
	case passcode.Locked:
		return "the store's key is locked: unlock it in the vault (pass show ENTRY there), or let a rule say unlock = true"
	case passcode.Decrypt:
		return "the entry cannot be decrypted, or is damaged (in the vault: splitvault log)"
	case passcode.Busy:
		return "the vault has too many requests of this qube at the moment, or it took too long: try again (in the vault: splitvault log)"
	case passcode.TooLarge:
		return "the entry, or what was sent, is too large"
	case passcode.NoField:
		return "the entry has no such field"
	default:
		return code.Text()
	}
}
