package sshagent

import (
	"encoding/binary"
	"fmt"
)

// Identity is one entry of an agent's list: a public key or certificate as its
// blob, and a comment of the agent's choosing.
type Identity struct {
	Blob    []byte
	Comment []byte
}

// ParseIdentities takes an IDENTITIES_ANSWER ([RFC9987] section 3.5): uint32
// number of keys, then per key string blob, string comment, nothing after.
// Blobs are not looked at; ParseKey does that. Entries alias the frame.
func ParseIdentities(untrusted Frame) ([]Identity, error) {
	if untrusted.Type() != TypeIdentitiesAnswer {
		return nil, fmt.Errorf("parsing the list of keys: %w: got %v", ErrMalformed, untrusted.Type())
	}
	c := cursor{rest: untrusted.Body()}
	n := c.uint32()
	// A key needs two lengths at the least, so the count is judged before it sizes anything.
	if uint64(n)*8 > uint64(len(c.rest)) {
		return nil, fmt.Errorf("parsing the list of keys: %w: %d keys in %d bytes", ErrMalformed, n, len(c.rest))
	}
	ids := make([]Identity, 0, n)
	for range n {
		ids = append(ids, Identity{Blob: c.string(), Comment: c.string()})
	}
	if !c.done() {
		return nil, fmt.Errorf("parsing the list of keys: %w", ErrMalformed)
	}
	return ids, nil
}

// IdentitiesReply builds an IDENTITIES_ANSWER. It fails with ErrTooLarge beyond
// MaxReply. No identities at all make a valid reply: the client then says that
// the agent has none.
func IdentitiesReply(ids []Identity) (Frame, error) {
	size := 1 + 4
	for _, id := range ids {
		size += 4 + len(id.Blob) + 4 + len(id.Comment)
		if size > MaxReply {
			return Frame{}, fmt.Errorf("listing %d keys: %w: more than %d bytes", len(ids), ErrTooLarge, MaxReply)
		}
	}
	body := binary.BigEndian.AppendUint32(make([]byte, 0, size-1), uint32(len(ids)))
	for _, id := range ids {
		body = appendString(body, id.Blob)
		body = appendString(body, id.Comment)
	}
	return newFrame(TypeIdentitiesAnswer, body), nil
}
