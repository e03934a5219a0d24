// Package passproto is the protocol that pass-relay speaks on its socket: lines of
// text from the client, which speaks first, and a reply to each, in order. Any
// number of requests may be sent, without waiting; the end of input ends it.
//
//	request = VERB *( SP argument ) LF            at most 4096 bytes
//	HELLO 1                                       PING
//	LIST [SCOPE/]                                 names, a LF after each
//	GET NAME                                      the whole entry
//	FIELD NAME FIELD                              a field of it, or otp: its code of now
//	FIND HOST                                     lines NAME TAB LOGIN
//	INSERT NAME N LF N*BYTE                       a new entry of N bytes
//	GENERATE NAME [len=N] [nosym]                 a new entry; the new password
//
//	reply   = "OK" SP N LF N*BYTE                 at most 1 MiB, any bytes
//	        / "ERR" SP CODE SP TOKEN SP TEXT LF   CODE and TOKEN as in package passcode
//
// In an argument every byte but 0x21 to 0x7E, and "%" itself, is %XX with capital
// hexadecimal digits; nothing else is. So each request has one spelling, and
// whatever is accepted is encoded to the same bytes again.
//
// After ERR the connection stays usable, but for a line that is too long and an
// INSERT that is no request: what follows them cannot be told from requests. A reply that is cut short is none.
//
// The package knows nothing of who carries the bytes.
package passproto
