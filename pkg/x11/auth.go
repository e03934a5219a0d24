package x11

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// cookieName is the only way of showing X11 who one is that is in use.
const cookieName = "MIT-MAGIC-COOKIE-1"

// Families of addresses in an Xauthority file (X11/Xauth.h).
const (
	familyLocal = 256
	familyWild  = 65535
)

const maxXauthority = 1 << 20 // bytes

// display reads DISPLAY: the address to connect to, and the display's number.
func display(text string) (network, address, number string, err error) {
	host, rest, found := strings.Cut(text, ":")
	number, _, _ = strings.Cut(rest, ".")
	n, convErr := strconv.Atoi(number)
	if !found || convErr != nil || n < 0 || n > 9999 {
		return "", "", "", fmt.Errorf("reading DISPLAY: %.40q is none such as \":0\"", text)
	}
	switch host {
	case "", "unix":
		return "unix", "/tmp/.X11-unix/X" + number, number, nil
	case "localhost", "127.0.0.1", "::1": // what ssh -X sets
		return "tcp", net.JoinHostPort(host, strconv.Itoa(6000+n)), number, nil
	default:
		return "", "", "", fmt.Errorf("reading DISPLAY: %.40q is on another machine", text)
	}
}

// cookie finds what to show to the display, nil if there is nothing.
func cookie(getenv func(string) string, number string) []byte {
	path := getenv("XAUTHORITY")
	if path == "" {
		path = filepath.Join(getenv("HOME"), ".Xauthority")
	}
	info, err := os.Stat(path)
	if err != nil || info.Size() > maxXauthority {
		return nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	host, err := os.Hostname()
	if err != nil {
		host = ""
	}
	return findCookie(text, host, number)
}

// findCookie reads the records of an Xauthority file. One for this host is better
// than one for another: a host's name may have changed since the display started.
func findCookie(text []byte, host, number string) []byte {
	var other []byte
	for {
		var fields [4][]byte // address, number, name, data
		if len(text) < 2 {
			return other
		}
		family := binary.BigEndian.Uint16(text)
		text = text[2:]
		for i := range fields {
			if len(text) < 2 {
				return other
			}
			n := int(binary.BigEndian.Uint16(text))
			if len(text) < 2+n {
				return other
			}
			fields[i], text = text[2:2+n], text[2+n:]
		}
		if n := string(fields[1]); string(fields[2]) != cookieName || n != "" && n != number {
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
