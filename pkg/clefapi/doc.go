// Package clefapi reads requests of Clef's external API 6.1 and says what they
// would do: with which account, to whom, how much, on which chain. What it does
// not fully understand is an error, and to be refused: Clef ignores keys that it
// does not know, and whatever this package ignored would be signed unjudged.
//
// Sources: go-ethereum v1.17.3, the last release with Clef, signer/core/api.go,
// signed_data.go, gnosis_safe.go and apitypes/types.go; EIP-191, EIP-712,
// EIP-1559, EIP-2930.
package clefapi
