package sshagent

import (
	"bytes"
	"encoding/binary"
)

// cursor reads the data types of [RFC4251] section 5 from untrusted bytes. The
// first read that does not fit makes it bad for good; reads then give zero
// values, so a parser may read all fields and ask done once.
type cursor struct {
	rest []byte
	bad  bool
}

// take gives the next n bytes, aliasing the input.
func (c *cursor) take(n uint64) []byte {
	// uint64 because a length of 4 GiB is negative in the int of a 32-bit machine.
	if c.bad || n > uint64(len(c.rest)) {
		c.bad = true
		return nil
	}
	b := c.rest[:n:n]
	c.rest = c.rest[n:]
	return b
}

func (c *cursor) uint8() byte {
	if b := c.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (c *cursor) uint32() uint32 {
	if b := c.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (c *cursor) uint64() uint64 {
	if b := c.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// string gives the bytes of a string (length, then that many bytes).
func (c *cursor) string() []byte {
	return c.take(uint64(c.uint32()))
}

// text gives a string that is a name. OpenSSH reads names as C does, to a NUL byte:
// "root" and "root\x00" are one user to it, and would be two to our rules.
func (c *cursor) text() string {
	b := c.string()
	if bytes.IndexByte(b, 0) >= 0 {
		c.bad = true
	}
	return string(b)
}

// mpint checks a positive integer in its one permitted spelling and gives the
// number of its bytes without the leading zero ([RFC4251] section 5). 2048
// bytes, OpenSSH's SSHBUF_MAX_BIGNUM, bound it.
func (c *cursor) mpint() int {
	b := c.string()
	n := len(b)
	if n > 0 && b[0] == 0 {
		b = b[1:]
		if len(b) == 0 || b[0]&0x80 == 0 {
			c.bad = true // zero, or a needless leading byte
		}
	} else if n == 0 || b[0]&0x80 != 0 {
		c.bad = true // zero or negative
	}
	if len(b) > maxBignum {
		c.bad = true
	}
	return len(b)
}

// maxBignum is the size of the largest integer in a key, in bytes.
const maxBignum = 16384 / 8

// done reports whether every read fitted and nothing is left over.
func (c *cursor) done() bool {
	return !c.bad && len(c.rest) == 0
}

// appendString appends s as a string of [RFC4251] section 5. No value in this
// package is longer than a frame, so the length always fits.
func appendString[S string | []byte](b []byte, s S) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
	return append(b, s...)
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}
