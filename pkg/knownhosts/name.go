package knownhosts

import (
	"strings"

	"github.com/splitvault/splitvault/pkg/glob"
)

// maxName bounds the name of a host, in bytes (RFC 1035: 255).
const maxName = 255

// Normalise writes the name of a host, or a pattern over such names, as ssh
// looks it up: in lower case, and in brackets only with a port that is not 22.
// What no host can be called is not ok: such a name is shown to nobody.
func Normalise(name string) (normal string, ok bool) {
	host, port := strings.ToLower(name), ""
	if rest, bracket := strings.CutPrefix(host, "["); bracket {
		if host, port, ok = strings.Cut(rest, "]:"); !ok {
			host, ok = strings.CutSuffix(rest, "]")
			if !ok {
				return "", false
			}
		} else if port == "" || strings.Trim(port, "0123456789*?") != "" {
			return "", false
		}
	}
	if host == "" || len(host)+len(port) > maxName || strings.ContainsFunc(host, oddInName) {
		return "", false
	}
	if port == "" || port == "22" {
		return host, true
	}
	return "[" + host + "]:" + port, true
}

// oddInName finds what is in no name of DNS, no address and no pattern.
func oddInName(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', '0' <= r && r <= '9':
		return false
	default:
		return !strings.ContainsRune("._-:%*?", r)
	}
}

func isPlain(name string) bool { return !strings.ContainsAny(name, "*?") }

// cutPort takes "[HOST]:PORT" apart.
func cutPort(name string) (host, port string, found bool) {
	rest, bracket := strings.CutPrefix(name, "[")
	if !bracket {
		return "", "", false
	}
	return strings.Cut(rest, "]:")
}

func matches(pattern, name string) bool { return glob.Pattern(pattern).Match(name) }
