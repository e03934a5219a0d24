package rules

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// AgentName is the ARG of qubes.Ssh+ARG: a letter or digit, then at most 63
// letters, digits, "_", "." or "-" (as the official split-ssh has it).
type AgentName string

// DefaultAgent is the name in [ssh.agents] of what serves calls without a name.
// A call that gives it is a call without a name, so that no rule is evaded by it.
const DefaultAgent AgentName = "default"

// ErrAgentName says that a text is no agent name.
var ErrAgentName = errors.New("agent names are a letter or digit, then up to 63 of letters, digits, _ . -")

// ParseAgentName checks an agent name; "" is the agent of a call without one.
func ParseAgentName(untrusted string) (AgentName, error) {
	if untrusted == "" {
		return "", nil
	}
	if len(untrusted) > 64 || strings.ContainsRune("_.-", rune(untrusted[0])) {
		return "", fmt.Errorf("%.64q: %w", untrusted, ErrAgentName)
	}
	for i := range len(untrusted) {
		if !nameByte(untrusted[i]) {
			return "", fmt.Errorf("%.64q: %w", untrusted, ErrAgentName)
		}
	}
	return AgentName(untrusted), nil
}

// AgentPaths are the sockets of one agent; the keys of several are merged. In
// rules.toml it is a text or a list of texts.
type AgentPaths []string

// Expand returns the paths with a leading "%t" replaced by runtime and "~" or
// "%h" by home, the way systemd writes them.
func (p AgentPaths) Expand(runtime, home string) []string {
	expanded := make([]string, 0, len(p))
	for _, path := range p {
		switch prefix, rest, _ := strings.Cut(path, "/"); prefix {
		case "%t":
			path = filepath.Join(runtime, rest)
		case "%h", "~":
			path = filepath.Join(home, rest)
		}
		expanded = append(expanded, path)
	}
	return expanded
}

func checkAgentPath(path string) error {
	for _, prefix := range []string{"/", "%t/", "%h/", "~/"} {
		if rest, ok := strings.CutPrefix(path, prefix); ok && rest != "" {
			return nil
		}
	}
	return fmt.Errorf("%q is no path of a socket: begin it with /, %%t/ ($XDG_RUNTIME_DIR) or ~/", path)
}
