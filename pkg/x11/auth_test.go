package x11

import (
	"bytes"
	"encoding/binary"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
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

// A cookie is none of another kind, and no longer than there are any.
func TestAnOverlongCookieIsNone(t *testing.T) {
	t.Parallel()
	file := record(familyWild, "", "0", cookieName, strings.Repeat("k", maxCookie+1))
	if got := findCookie(file, "work", "0"); got != nil {
		t.Errorf("got %d bytes", len(got))
	}
}

// A file of cookies that is a FIFO, or has no end, holds nobody up.
func TestAFileOfCookiesThatIsNoneHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{fifo, "/dev/zero", t.TempDir()} {
		if got := readCookie(path, "", "0"); got != nil {
			t.Errorf("%s: %q", path, got)
		}
	}
}

func FuzzFindCookie(f *testing.F) {
	f.Add(record(familyLocal, "work", "0", cookieName, "right"), "0")
	f.Add(record(familyLocal, "host", "", "XDM-AUTHORIZATION-1", "secret"), "1")
	f.Add([]byte{1, 0, 255, 255, 0}, "0")
	f.Fuzz(func(t *testing.T, untrusted []byte, number string) {
		if c := findCookie(untrusted, "work", number); len(c) > maxCookie || !bytes.Contains(untrusted, c) {
			t.Fatalf("%q from %q", c, untrusted)
		}
	})
}
