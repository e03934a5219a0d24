package x11

import (
	"encoding/binary"
	"testing"
)

func record(family int, fields ...string) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(family))
	for _, f := range fields {
		b = binary.BigEndian.AppendUint16(b, uint16(len(f)))
		b = append(b, f...)
	}
	return b
}

func TestCookieOfThisHostAndDisplay(t *testing.T) {
	t.Parallel()
	file := record(familyLocal, "old-name", "0", cookieName, "other")
	file = append(file, record(familyLocal, "work", "1", cookieName, "display 1")...)
	file = append(file, record(familyLocal, "work", "0", "XDM-AUTHORIZATION-1", "unknown")...)
	file = append(file, record(familyLocal, "work", "0", cookieName, "right")...)
	if got := findCookie(file, "work", "0"); string(got) != "right" {
		t.Errorf("got %q", got)
	}
	if got := findCookie(file, "renamed", "0"); string(got) != "other" {
		t.Errorf("after the host was renamed: got %q", got)
	}
	if got := findCookie(file, "work", "2"); got != nil {
		t.Errorf("for another display: got %q", got)
	}
	for n := range len(file) {
		findCookie(file[:n], "work", "0") // a file cut short, anywhere
	}
}

func FuzzFindCookie(f *testing.F) {
	f.Add(record(familyLocal, "work", "0", cookieName, "right"))
	f.Add([]byte{1, 0, 255, 255, 0})
	f.Fuzz(func(_ *testing.T, untrusted []byte) { findCookie(untrusted, "work", "0") })
}
