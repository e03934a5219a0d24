// Package loginhost tells whether an entry is for a host, by its name or its url.
//
// Only the very host counts, with its port where that is not 443. Neither
// the domains above it (an entry for "github.io" is not for every page there; which
// suffixes are public nobody knows for sure) nor those below. Who wants one login for
// all hosts of a domain says so in the entry: "url: https://*.example.com".
package loginhost

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/splitvault/splitvault/pkg/entryname"
)

// ErrHost says that a text is no host, with or without a port.
var ErrHost = errors.New("not a host")

const maxHost = 253

// Host is a host name in lower case or an address, and ":PORT" if that is not 443.
// Names beyond ASCII are in their xn-- form.
type Host string

// Parse checks a host that a client asks for. It must be in the one spelling of
// a Host, but that ":443" may be there.
func Parse(untrusted string) (Host, error) {
	host, err := parse(untrusted)
	if err != nil {
		return "", err
	}
	if strings.TrimSuffix(untrusted, ":443") != string(host) {
		return "", fmt.Errorf("%.80q (lower case, a port without zeros in front): %w", untrusted, ErrHost)
	}
	return host, nil
}

// parse accepts what people write.
func parse(untrusted string) (Host, error) {
	wrong := fmt.Errorf("%.80q: %w", untrusted, ErrHost)
	name, port := strings.ToLower(untrusted), ""
	if rest, found := strings.CutPrefix(name, "["); found {
		address, after, closed := strings.Cut(rest, "]")
		ip, err := netip.ParseAddr(address)
		if !closed || err != nil || !ip.Is6() || ip.Zone() != "" || ip.String() != address {
			return "", wrong
		}
		name = "[" + address + "]"
		if after != "" {
			if port, found = strings.CutPrefix(after, ":"); !found || port == "" {
				return "", wrong
			}
		}
	} else {
		var hasPort bool
		if name, port, hasPort = strings.Cut(name, ":"); hasPort && port == "" || !isName(name) {
			return "", wrong
		}
	}
	if port == "" {
		return Host(name), nil
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return "", wrong
	}
	if n != 443 {
		name += ":" + strconv.FormatUint(n, 10)
	}
	return Host(name), nil
}

func isName(name string) bool {
	if name == "" || len(name) > maxHost {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}

// Name tells whether a part of an entry's name is the host, and what comes after
// it: "alice" of "work/github.com/alice". Several such parts: the first counts.
func (h Host) Name(name entryname.Name) (login string, match bool) {
	parts := strings.Split(string(name), "/")
	for i, part := range parts {
		if written, err := parse(part); err == nil && written == h {
			return strings.Join(parts[i+1:], "/"), true
		}
	}
	return "", false
}

// URL tells whether the value of an entry's url is for the host: "example.com",
// "https://example.com:8443/path", "https://*.example.com" for all hosts below.
func (h Host) URL(untrusted []byte) bool {
	for _, scheme := range []string{"https://", "http://"} {
		if len(untrusted) >= len(scheme) && bytes.EqualFold(untrusted[:len(scheme)], []byte(scheme)) {
			untrusted = untrusted[len(scheme):]
			break
		}
	}
	if end := bytes.IndexAny(untrusted, "/?#"); end >= 0 {
		untrusted = untrusted[:end]
	}
	// A browser takes "https://good.example@evil.example" to evil.example, and a
	// backslash for a slash: nobody who means good.example writes that.
	if len(untrusted) > maxHost+len(":65535") || bytes.ContainsAny(untrusted, "@\\") {
		return false
	}
	name, all := strings.CutPrefix(string(untrusted), "*.")
	written, err := parse(name)
	if err != nil {
		return false
	}
	if !all {
		return written == h
	}
	// Not "*.com"; whether "*.co.uk" was meant is its owner's business.
	return strings.Contains(string(written), ".") && strings.HasSuffix(string(h), "."+string(written))
}
