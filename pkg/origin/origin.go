// Package origin reads what a browser says about who asks: the header Origin, as
// RFC 6454 section 6.2 and the URL standard write it.
package origin

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Max bounds an origin, in bytes: a host name has at most 253.
const Max = 300

// ErrOrigin says that a text is no origin of a page.
var ErrOrigin = errors.New(`not an origin: write "https://app.example.org", with a port only if it is not the usual one`)

// Origin is SCHEME://HOST or SCHEME://HOST:PORT in the one spelling that browsers
// send. "" is no page: a program that is no browser.
type Origin string

// Parse checks an origin that is neither empty nor "null", which many different
// pages have.
func Parse(untrusted string) (Origin, error) {
	scheme, authority, found := strings.Cut(untrusted, "://")
	if !found || len(untrusted) > Max || !validScheme(scheme) {
		return "", fmt.Errorf("%.80q: %w", untrusted, ErrOrigin)
	}
	host, port, err := split(authority)
	if err != nil || !validHost(host) || !validPort(scheme, port) {
		return "", fmt.Errorf("%.80q: %w", untrusted, ErrOrigin)
	}
	return Origin(untrusted), nil
}

// split takes HOST or HOST:PORT apart; port is "" where there is none.
func split(authority string) (host, port string, err error) {
	end := strings.IndexByte(authority, ']') + 1 // an IPv6 address has colons of its own
	host, port, found := strings.Cut(authority[end:], ":")
	if found && port == "" {
		return "", "", ErrOrigin
	}
	return authority[:end] + host, port, nil
}

func validScheme(scheme string) bool {
	return scheme != "" && lower(scheme[0]) && !strings.ContainsFunc(scheme, func(r rune) bool {
		return r > '~' || !lower(byte(r)) && !digit(byte(r)) && !strings.ContainsRune("+-.", r)
	})
}

func validHost(host string) bool {
	if address, ok := strings.CutPrefix(host, "["); ok {
		address, ok = strings.CutSuffix(address, "]")
		ip, err := netip.ParseAddr(address)
		return ok && err == nil && ip.Zone() == "" && ip.Is6() && (ip.String() == address || ip.Is4In6())
	}
	return host != "" && !strings.ContainsFunc(host, func(r rune) bool {
		return r > '~' || !lower(byte(r)) && !digit(byte(r)) && !strings.ContainsRune("-._", r)
	})
}

func validPort(scheme, port string) bool {
	if port == "" {
		return true
	}
	n, err := strconv.ParseUint(port, 10, 16)
	usual := scheme == "https" && n == 443 || scheme == "http" && n == 80
	return err == nil && strconv.FormatUint(n, 10) == port && !usual
}

func lower(c byte) bool { return 'a' <= c && c <= 'z' }
func digit(c byte) bool { return '0' <= c && c <= '9' }
