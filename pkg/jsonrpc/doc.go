// Package jsonrpc reads and writes JSON-RPC 2.0 as a signer may be given it:
// strictly, so that what was judged is what the signer gets (package strictjson
// says why). A request has exactly the keys jsonrpc, id, method and params, each
// once and spelled so; it has an id, for one without is executed and never
// answered; its params are a list; numbers in it are whole and small enough that
// no program rounds them. [Request.Append] writes it in its one spelling.
//
// Sources: jsonrpc.org/specification, EIP-1193 and EIP-1474 for the codes of
// errors, go-ethereum v1.17.3 rpc/json.go for what is known to differ.
package jsonrpc
