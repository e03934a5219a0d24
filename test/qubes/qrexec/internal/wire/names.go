package wire

import (
	"errors"
	"fmt"
	"strings"
)

// MaxDescriptor is the largest NAME+ARG in bytes that crosses the control ring
// of 4096 bytes between a qube's agent and dom0 (qrexec-agent.c,
// libvchan_server_init(0, VCHAN_BASE_PORT, 4096, 4096)); the real agent does
// not survive a longer one.
const MaxDescriptor = 3935

// MaxName is the largest service name in bytes, Linux NAME_MAX.
const MaxName = 255

// ErrName is a service name that qrexec-daemon refuses outright.
var ErrName = errors.New("empty or invalid service name")

// SanitiseTarget maps every byte outside [A-Za-z0-9_.@:-] to "_", as
// qrexec-daemon.c sanitize_name does for targets.
func SanitiseTarget(untrustedTarget []byte) string {
	return sanitise(untrustedTarget, "@:")
}

// SplitDescriptor maps every byte outside [A-Za-z0-9_.+-] to "_" and splits at
// the first plus sign: "x+a/b" is "x" and "a_b", "x" and "x+" are the same.
func SplitDescriptor(untrustedDescriptor []byte) (name, argument string, err error) {
	name, argument, _ = strings.Cut(sanitise(untrustedDescriptor, "+"), "+")
	if name == "" {
		return "", "", ErrName
	}
	if len(name) > MaxName {
		return "", "", fmt.Errorf("%w: %d bytes, at most %d", ErrName, len(name), MaxName)
	}
	return name, argument, nil
}

func sanitise(untrusted []byte, extra string) string {
	clean := make([]byte, len(untrusted))
	for i, b := range untrusted {
		clean[i] = '_'
		if isPlain(b) || strings.IndexByte(extra, b) >= 0 {
			clean[i] = b
		}
	}
	return string(clean)
}

func isPlain(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b == '_' || b == '.' || b == '-'
}
