package x11

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// cookieName is the only way of showing X11 who one is that is in use.
const cookieName = "MIT-MAGIC-COOKIE-1"

// Families of addresses in an Xauthority file (X11/Xauth.h).
const (
	familyLocal = 256
	familyWild  = 65535
)

const (
	maxXauthority = 1 << 20 // bytes
	maxCookie     = 64
)

// Number returns the N of a display of this machine: ":N", ":N.S" or "unix:N".
func Number(display string) (number string, ok bool) {
	number, ok = strings.CutPrefix(strings.TrimPrefix(display, "unix"), ":")
	number, _, _ = strings.Cut(number, ".")
	return number, ok && number != "" && len(number) < 6 && strings.Trim(number, "0123456789") == ""
}

// forwarded returns the address and the number of a display that ssh -X has set.
func forwarded(display string) (address, number string, err error) {
	host, rest, _ := strings.Cut(display, ":")
	number, _, _ = strings.Cut(rest, ".")
	n, err := strconv.ParseUint(number, 10, 32)
	if err != nil || n > 9999 {
		return "", "", fmt.Errorf("reading DISPLAY: %.40q is none such as \":0\"", display)
	}
	if host != "localhost" && host != "127.0.0.1" {
		return "", "", fmt.Errorf("reading DISPLAY: %.40q is on another machine", display)
	}
	return net.JoinHostPort(host, strconv.FormatUint(6000+n, 10)), number, nil
}

// readCookie finds what to show to the display with that number, nil if there is
// nothing, which the display may take. path is the file of cookies, "" for home's.
func readCookie(path, home, number string) []byte {
	if path == "" {
		path = filepath.Join(home, ".Xauthority")
	}
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // a FIFO does not hold us up
	if err != nil {
		return nil
	}
	defer f.Close()
	untrusted, err := io.ReadAll(io.LimitReader(f, maxXauthority))
	if err != nil {
		return nil
	}
	host, err := os.Hostname()
	if err != nil {
		host = ""
	}
	return findCookie(untrusted, host, number)
}

// findCookie reads the records of an Xauthority file: a family and four strings with
// their lengths (Xau, Xauth.h). One for this host is better than one for another: a
// host's name may have changed since the display started.
func findCookie(untrusted []byte, host, number string) []byte {
	var other []byte
	for {
		var fields [4][]byte // address, number, name, data
		if len(untrusted) < 2 {
			return other
		}
		family := binary.BigEndian.Uint16(untrusted)
		untrusted = untrusted[2:]
		for i := range fields {
			if len(untrusted) < 2 {
				return other
			}
			n := int(binary.BigEndian.Uint16(untrusted))
			if len(untrusted) < 2+n {
				return other
			}
			fields[i], untrusted = untrusted[2:2+n], untrusted[2+n:]
		}
		if n := string(fields[1]); string(fields[2]) != cookieName || n != "" && n != number || len(fields[3]) > maxCookie {
			continue
		}
		switch {
		case family == familyWild, family == familyLocal && string(fields[0]) == host:
			return fields[3]
		case other == nil:
			other = fields[3]
		}
	}
}
