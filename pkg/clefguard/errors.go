package clefguard

import (
	"errors"
	"strings"

	"github.com/splitvault/splitvault/pkg/clefbackend"
	"github.com/splitvault/splitvault/pkg/clefcall"
	"github.com/splitvault/splitvault/pkg/clefstart"
	"github.com/splitvault/splitvault/pkg/jsonrpc"
)

// denied is a no that no client tries again after, and that ethers knows for one.
func denied(why string) *jsonrpc.Error {
	return jsonrpc.Errorf(jsonrpc.CodeUserDenied, "User denied: %s", why)
}

// unknown is the answer to a method that Clef does not have.
func unknown(method string) *jsonrpc.Error {
	for _, prefix := range []string{"eth_", "personal_", "wallet_", "net_", "web3_"} {
		if strings.HasPrefix(method, prefix) {
			return jsonrpc.Errorf(jsonrpc.CodeUnsupported, "%s is not supported: this is a signer, Clef, with the methods account_*", method)
		}
	}
	return jsonrpc.Errorf(jsonrpc.CodeNoMethod, "the method %s does not exist", method)
}

// notReady is the answer where there is no Clef.
func (g *Guard) notReady(err error) *jsonrpc.Error {
	where := ""
	if g.Vault != "" {
		where = " in " + g.Vault
	}
	why := "Clef does not answer" + where
	switch {
	case errors.Is(err, clefbackend.ErrLoop):
		return clefcall.ErrLoop()
	case errors.Is(err, clefbackend.ErrNotClef):
		why = "what listens" + where + " is not Clef"
	case errors.Is(err, clefstart.ErrLocked):
		why = "unlock Clef" + where
	case errors.Is(err, clefstart.ErrNotInstalled):
		why = "Clef is not installed" + where
	case errors.Is(err, clefstart.ErrNoSession):
		why = "no session to show Clef in" + where
	case errors.Is(err, clefstart.ErrCrashed):
		why = "Clef was started and ended" + where
	}
	return jsonrpc.Errorf(jsonrpc.CodeDisconnected, "signer not ready: %s", why)
}

// requestDenied is what Clef says if its own prompt or rule said no.
const requestDenied = "request denied"

// translate turns an error of Clef's into one that clients understand. waits tells
// that a person, or a rule of Clef's, said no, or that a prompt is open still.
func translate(e *jsonrpc.Error) (translated *jsonrpc.Error, waits bool) {
	switch {
	case e.Code == jsonrpc.CodeServer && e.Message == requestDenied:
		no := denied("rejected in Clef")
		no.Data = e.Message
		return no, true
	case e.Code == jsonrpc.CodeTimedOut:
		no := denied("no answer within 30 s (Clef's limit over HTTP); the vault can use Clef's IPC socket")
		no.Data = e.Message
		return no, true
	}
	switch e.Code {
	case -32603, -32005, -32007, -1, 429: // after these clients ask again by themselves
		return &jsonrpc.Error{Code: jsonrpc.CodeServer, Message: e.Message, Data: e.Data}, false
	}
	return e, false
}
