// Package consent is how a guard asks the person at the vault's screen.
//
// consentd listens at $XDG_RUNTIME_DIR/splitvault/S.consent (mode 0600) and
// draws the prompts. A guard connects with Dial before it confines itself and
// then calls Ask; splitvault's commands use Connect. Both sides speak lines of
// JSON: consentd greets with {"v":1}, then each line of the client gets one
// answer; only a notice, which asks nothing, gets none. A line is at most 16 KiB
// and is taken only if it is exactly what this package would write for it, so that
// there is one way to say a thing. All text is printable ASCII. Closing the
// connection withdraws the question; whoever finds it closed takes that as no.
package consent
