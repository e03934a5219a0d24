package passproto

import (
	"errors"
	"strings"
	"testing"
)

// Of a secret with its length no part is taken for a whole one, and a secret without is
// what it is.
func TestInsertBody(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{"x", "hunter2\nlogin: x\n", "\x00", InsertHeader(1), strings.Repeat("s", MaxBody)} {
		whole := InsertHeader(len(secret)) + secret
		if begin, err := InsertBody([]byte(whole)); err != nil || whole[begin:] != secret || begin > MaxInsertHeader {
			t.Errorf("%.20q: %d, %v", secret, begin, err)
		}
		for n := 1; n < len(whole); n += 1 + n/100 {
			if begin, err := InsertBody([]byte(whole[:n])); !errors.Is(err, ErrCut) {
				t.Errorf("%.20q, cut after %d: %d, %v", secret, n, begin, err)
			}
		}
		if _, err := InsertBody([]byte(whole + "x")); !errors.Is(err, ErrCut) {
			t.Errorf("%.20q, with something behind: %v", secret, err)
		}
	}
	for _, bare := range []string{"", "x", "split-pass/1 1\nx", "\x00\x00", "\x00x", "x\x00split-pass/1 1\nx"} {
		if begin, err := InsertBody([]byte(bare)); begin != 0 || err != nil {
			t.Errorf("%q: %d, %v", bare, begin, err)
		}
	}
	for _, odd := range []string{"01\nx", "+1\nx", "-1\n", "1 \nx", "\nx", "99999999\nx", "1\r\nx", "0x1\nx"} {
		if _, err := InsertBody([]byte(insertMark + odd)); !errors.Is(err, ErrCut) {
			t.Errorf("%q: %v", odd, err)
		}
	}
}

func FuzzInsertBody(f *testing.F) {
	for _, s := range []string{"", "x", InsertHeader(2) + "ab", InsertHeader(2) + "a", "\x00split-pass/1 ", "\x00"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, untrusted []byte) {
		begin, err := InsertBody(untrusted)
		switch {
		case err != nil && begin != 0:
			t.Errorf("%q: %d with %v", untrusted, begin, err)
		case begin > 0 && InsertHeader(len(untrusted)-begin) != string(untrusted[:begin]):
			t.Errorf("%q: %d", untrusted, begin)
		}
	})
}
