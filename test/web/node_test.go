package web

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/splitvault/splitvault/test/baseline"
	"github.com/splitvault/splitvault/test/signer"
)

// gethNode returns the real geth. It skips the test where there is none, and fails it
// in CI.
func gethNode(t *testing.T) []byte {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(filepath.Join(cache, "splitvault", "geth-"+signer.Version, "geth"))
	switch {
	case errors.Is(err, fs.ErrNotExist) && os.Getenv("CI") == "":
		t.Skip("no geth of version " + signer.Version + ": just geth")
	case err != nil:
		t.Fatal(err)
	}
	return program
}

// genesis is of a chain that has Clef's number and no other node.
const genesis = `{"config":{"chainId":1337,"homesteadBlock":0,"eip150Block":0,"eip155Block":0,"eip158Block":0,"byzantiumBlock":0,` +
	`"constantinopleBlock":0,"petersburgBlock":0,"istanbulBlock":0,"berlinBlock":0,"londonBlock":0,"terminalTotalDifficulty":0},` +
	`"difficulty":"0x1","gasLimit":"0x1c9c380","alloc":{}}`

// console is what a person types into geth's console: accounts, a text, a payment, and
// one that Clef refuses.
const console = `var pay = function(value) { return eth.signTransaction({from: eth.accounts[0], to: "0x1111111111111111111111111111111111111111",
	gas: "0x5208", maxFeePerGas: "0x3b9aca00", maxPriorityFeePerGas: "0x3b9aca00", value: value, nonce: "0x0"}).tx.hash };
var refused = ""; var all = [eth.accounts.join(), eth.sign(eth.accounts[0], "0x68656c6c6f"), pay("0x1")];
try { pay("0x2") } catch (e) { refused = e.message }; all.concat([refused]).join("|")`

// geth --signer: a whole node, whose only account is the vault's.
func (w *world) gethSigner(t *testing.T) {
	if err := baseline.Put(t.Context(), w.work, map[string][]byte{"/usr/local/bin/geth-node": gethNode(t)}); err != nil {
		t.Fatal(err)
	}
	if err := w.work.Put(t.Context(), "genesis.json", []byte(genesis)); err != nil {
		t.Fatal(err)
	}
	if out, err := w.work.User(t.Context(), "geth-node", "--datadir", "node", "init", "genesis.json"); err != nil {
		t.Fatal(err, out)
	}
	out, err := w.work.User(t.Context(), "geth-node", "--datadir", "node", "--networkid", "1337", "--nodiscover", "--maxpeers", "0", "--port", "0",
		"--authrpc.port", "0", "--ipcdisable", "--verbosity", "1", "--signer", "http://localhost:8550", "--exec", console, "console")
	if err != nil {
		t.Fatal(err, out)
	}
	want := strings.Join([]string{address, signature, txHash, "User denied: rejected in Clef"}, "|")
	if got := strings.Trim(strings.TrimSpace(out), `"`); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
