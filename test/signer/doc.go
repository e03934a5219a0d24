// Package signer runs the real Clef, in its last release, with a fixed key and
// without a person, for tests: `just clef` builds it once.
package signer

// Version is the last release of go-ethereum that has Clef.
const Version = "v1.17.3"

// Account is the account that the fixed key has: 46 as a byte, 32 times.
const Account = "0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F"

const (
	fixedKey        = "4646464646464646464646464646464646464646464646464646464646464646"
	masterPassword  = "masterpass1"
	accountPassword = "accountpass1"
)

// RulesJS are Clef's own rules: it approves, but rejects what sends 2 wei, and asks a
// person about 3 wei. What it is told of the caller it writes to its output.
const RulesJS = `
function show(r) { console.log("meta " + JSON.stringify(r.meta)); }
function OnSignerStartup(info) {}
function OnApprovedTx(r) {}
function ApproveListing(r) { show(r); return "Approve"; }
function ApproveSignData(r) { show(r); return "Approve"; }
function ApproveTx(r) {
	show(r);
	if (r.transaction.value == "0x2") { return "Reject"; }
	if (r.transaction.value == "0x3") { return "Ask"; }
	return "Approve";
}
`
