// Package clefrelay serves one client of a signer in a client qube: JSON-RPC over
// HTTP on a port of the loopback interface, or as a stream over a Unix socket. Each
// request becomes one qrexec call with the method as its argument, so that dom0 can
// tell a list from a signature; batches are split and put together again.
//
// Nothing crosses before the client's user, the HTTP request (package httpedge) and
// the JSON (package jsonrpc) have passed. What no guard would accept is answered
// here. Whatever goes wrong behind the relay is a JSON-RPC error with the caller's
// id, in a form after which no client tries again by itself (EIP-1193), and one line
// in the journal that says what to do.
package clefrelay
