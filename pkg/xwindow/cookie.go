package xwindow

import (
	"encoding/binary"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

const (
	cookieName = "MIT-MAGIC-COOKIE-1"
	maxFile    = 64 << 10
	maxCookie  = 64
)

// cookie is what an X server wants to see; the zero cookie is none.
type cookie struct{ name, data string }

// findCookie reads the cookie for display number from a file, "" for
// home/.Xauthority. Without one there is none, and the server may take that.
func findCookie(path, home, number string) cookie {
	if path == "" {
		path = filepath.Join(home, ".Xauthority")
	}
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return cookie{}
	}
	defer f.Close()
	untrusted, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return cookie{}
	}
	return parseCookies(untrusted, number)
}

// parseCookies takes the first cookie for the display (Xau, Xauth.h): records of a
// family and four strings with their lengths, which are address, number, name and
// data. The addresses are this machine's, whatever it was called then.
func parseCookies(untrusted []byte, number string) cookie {
	for len(untrusted) >= 2 {
		untrusted = untrusted[2:]
		var part [4]string
		for i := range part {
			if len(untrusted) < 2 {
				return cookie{}
			}
			length := int(binary.BigEndian.Uint16(untrusted))
			if untrusted = untrusted[2:]; len(untrusted) < length {
				return cookie{}
			}
			part[i], untrusted = string(untrusted[:length]), untrusted[length:]
		}
		if (part[1] == number || part[1] == "") && part[2] == cookieName && len(part[3]) <= maxCookie {
			return cookie{part[2], part[3]}
		}
	}
	return cookie{}
}
