// Package strictjson reads JSON (RFC 8259) that every program reads alike.
//
// encoding/json, and with it all programs that go-ethereum ships, takes keys that
// differ in case for each other, lets the last of several win, reads lone
// surrogates and bad UTF-8 as U+FFFD and stops after the first value. Whoever
// judges one reading and passes the bytes on is evaded by that. So here a key
// must not appear twice in an object, also not in another case; text is valid
// UTF-8; there is one value and nothing after it; depth and number of values are
// bounded. [Value.Append] writes what was read in one spelling, which is never
// longer than what was read.
package strictjson
