package passentry

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // what authenticators use (RFC 6238)
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/splitvault/splitvault/pkg/entryname"
	"github.com/splitvault/splitvault/pkg/secret"
)

var (
	// ErrHOTP says that the codes go by a counter: each would have to be written
	// back before it is given, and a lost reply would lose step with the server.
	ErrHOTP = errors.New("codes that go by a counter (HOTP) are not supported")
	// ErrOTP says that the address of the codes cannot be read.
	ErrOTP = errors.New("the otpauth address cannot be read")
)

const (
	maxSeed   = 512  // bytes of a seed in base32
	maxPeriod = 3600 // seconds
)

// OTP computes the code of a moment (RFC 6238) by the entry's first line that is
// an otpauth://totp/ address, or by its key "totp" or "otp", which has an address
// or only the seed. Without any it is [ErrNoField].
func OTP(text []byte, now time.Time) (string, error) {
	n := 0
	for line := range bytes.Lines(text) {
		n++
		line = bytes.TrimSpace(line)
		if n > 1 {
			if key, value, found := bytes.Cut(line, []byte(":")); found && is(bytes.TrimSpace(key), entryname.OTP) && !bytes.HasPrefix(value, []byte("//")) {
				line = bytes.TrimSpace(value)
				if _, is := cutPrefixFold(line, "otpauth://"); !is {
					return totp{seed: line, digits: 6, period: 30}.at(now)
				}
			}
		}
		if address, found := cutPrefixFold(line, "otpauth://"); found {
			t, err := parse(address)
			if err != nil {
				return "", err
			}
			return t.at(now)
		}
	}
	return "", ErrNoField
}

// totp is how codes are made. seed is base32 as it was written.
type totp struct {
	seed      []byte
	algorithm string // "" is SHA1
	digits    int
	period    int64 // seconds
}

// parse reads what follows otpauth:// (the Key Uri Format of Google Authenticator).
func parse(address []byte) (totp, error) {
	if _, found := cutPrefixFold(address, "hotp/"); found {
		return totp{}, ErrHOTP
	}
	address, found := cutPrefixFold(address, "totp/")
	_, query, hasQuery := bytes.Cut(address, []byte("?"))
	if !found || !hasQuery {
		return totp{}, ErrOTP
	}
	t := totp{digits: 6, period: 30}
	for len(query) > 0 {
		var pair []byte
		pair, query, _ = bytes.Cut(query, []byte("&"))
		key, value, _ := bytes.Cut(pair, []byte("="))
		if err := t.set(key, value); err != nil {
			return totp{}, err
		}
	}
	if len(t.seed) == 0 {
		return totp{}, fmt.Errorf("%w: no secret", ErrOTP)
	}
	return t, nil
}

func (t *totp) set(key, value []byte) error {
	switch {
	case bytes.EqualFold(key, []byte("secret")):
		t.seed = value
	case bytes.EqualFold(key, []byte("algorithm")):
		t.algorithm = string(bytes.ToUpper(value))
	case bytes.EqualFold(key, []byte("digits")):
		n, err := strconv.Atoi(string(value))
		if err != nil || n < 5 || n > 8 {
			return fmt.Errorf("%w: digits", ErrOTP)
		}
		t.digits = n
	case bytes.EqualFold(key, []byte("period")):
		n, err := strconv.ParseInt(string(value), 10, 64)
		if err != nil || n < 1 || n > maxPeriod {
			return fmt.Errorf("%w: period", ErrOTP)
		}
		t.period = n
	}
	return nil // issuer, image and others say nothing about the code
}

// at computes the code. The seed, and the blocks that are made of it, are in
// locked memory only: the hash functions read whole blocks where they are.
func (t totp) at(now time.Time) (string, error) {
	if now.Unix() < 0 {
		return "", fmt.Errorf("%w: the clock is before 1970", ErrOTP)
	}
	var memory secret.Buffer
	defer memory.Wipe()
	seed, err := decodeBase32(t.seed, &memory)
	if err != nil {
		return "", err
	}
	var counter [8]byte
	binary.BigEndian.PutUint64(counter[:], uint64(now.Unix()/t.period))
	sum, err := t.mac(seed, counter[:])
	if err != nil {
		return "", err
	}
	at := sum[len(sum)-1] & 15
	code := binary.BigEndian.Uint32(sum[at:]) & 0x7fffffff
	modulus := uint32(1)
	for range t.digits {
		modulus *= 10
	}
	return fmt.Sprintf("%0*d", t.digits, code%modulus), nil
}

func (t totp) mac(seed, message []byte) ([]byte, error) {
	switch t.algorithm {
	case "", "SHA1":
		return hmac(seed, message, sha1.BlockSize, func(b []byte) []byte { s := sha1.Sum(b); return s[:] }) //nolint:gosec // as above
	case "SHA256":
		return hmac(seed, message, sha256.BlockSize, func(b []byte) []byte { s := sha256.Sum256(b); return s[:] })
	case "SHA512":
		return hmac(seed, message, sha512.BlockSize, func(b []byte) []byte { s := sha512.Sum512(b); return s[:] })
	default:
		return nil, fmt.Errorf("%w: algorithm %.20q", ErrOTP, t.algorithm)
	}
}

// hmac is RFC 2104. crypto/hmac keeps copies of the key in Go's heap, which are
// never wiped.
func hmac(key, message []byte, block int, sum func([]byte) []byte) ([]byte, error) {
	var memory secret.Buffer
	defer memory.Wipe()
	// Room for the longer of both: growing would move it.
	if _, err := memory.Write(make([]byte, block+max(len(message), sha512.Size))); err != nil {
		return nil, err
	}
	pad := memory.Bytes()
	if len(key) > block {
		key = sum(key)
	}
	fill := func(with byte) {
		for i := range block {
			pad[i] = with
			if i < len(key) {
				pad[i] ^= key[i]
			}
		}
	}
	fill(0x36)
	inner := sum(pad[:block+copy(pad[block:], message)])
	fill(0x5c)
	return sum(pad[:block+copy(pad[block:], inner)]), nil
}

// decodeBase32 appends the decoded seed to memory. People write seeds in small
// letters, in groups and without padding.
func decodeBase32(text []byte, memory *secret.Buffer) ([]byte, error) {
	if len(text) > maxSeed {
		return nil, fmt.Errorf("%w: the secret is too long", ErrOTP)
	}
	var bits, count uint
	var one [1]byte
	defer clear(one[:])
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == ' ' || c == '-' || c == '=':
			continue
		case c == '%' && i+2 < len(text) && (bytes.EqualFold(text[i+1:i+3], []byte("3d")) || bytes.Equal(text[i+1:i+3], []byte("20"))):
			i += 2
			continue
		case 'a' <= c && c <= 'z':
			c -= 'a'
		case 'A' <= c && c <= 'Z':
			c -= 'A'
		case '2' <= c && c <= '7':
			c -= '2' - 26
		default:
			return nil, fmt.Errorf("%w: the secret is not base32", ErrOTP)
		}
		bits = bits<<5 | uint(c)
		if count += 5; count >= 8 {
			count -= 8
			one[0] = byte(bits >> count)
			if _, err := memory.Write(one[:]); err != nil {
				return nil, err
			}
		}
	}
	if memory.Len() == 0 {
		return nil, fmt.Errorf("%w: no secret", ErrOTP)
	}
	return memory.Bytes(), nil
}

func cutPrefixFold(b []byte, prefix string) ([]byte, bool) {
	if len(b) < len(prefix) || !bytes.EqualFold(b[:len(prefix)], []byte(prefix)) {
		return b, false
	}
	return b[len(prefix):], true
}
