package agent

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// rpcConfig is what a file of /etc/qubes/rpc-config says about a service.
type rpcConfig struct {
	waitForSession  bool
	forceUser       string
	skipDescriptor  bool
	exitOnClientEOF bool
	exitOnServerEOF bool
}

// socketOnly reports whether a key is set that makes the agent itself connect,
// as root, instead of the session's fork server.
func (c rpcConfig) socketOnly() bool {
	return c.skipDescriptor || c.exitOnClientEOF || c.exitOnServerEOF
}

func configDirs(h Host) []string {
	switch {
	case h.ConfigPath != nil:
		return h.ConfigPath
	case h.Release < "4.3":
		return []string{"/etc/qubes/rpc-config"}
	default:
		return []string{"/run/qubes/rpc-config", "/usr/local/etc/qubes/rpc-config", "/etc/qubes/rpc-config"}
	}
}

// loadConfig reads the first file found, NAME+ARG in all directories, then NAME.
// A file that does not parse fails every call to the service.
func loadConfig(o order) (rpcConfig, error) {
	names := []string{o.Service.Descriptor(), o.Service.Name}
	if len(names[0]) > maxFileName {
		names = names[1:]
	}
	for _, name := range names {
		for _, dir := range configDirs(o.Host) {
			path := filepath.Join(dir, name)
			text, err := os.ReadFile(path)
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
				continue
			}
			if err != nil {
				return rpcConfig{}, problem(exitBroken, "%w", err)
			}
			c, err := parseConfig(text)
			if err != nil {
				return rpcConfig{}, problem(exitBroken, "%s: %w", path, err)
			}
			return c.asOf(o.Host.Release), nil
		}
	}
	return rpcConfig{}, nil
}

// asOf forgets the keys that a release does not know.
func (c rpcConfig) asOf(release string) rpcConfig {
	if release < "4.2" {
		return rpcConfig{waitForSession: c.waitForSession}
	}
	return c
}

// value is a parsed value: exactly one of the kinds.
type value struct {
	kind   string // "boolean", "integer" or "string"
	text   string
	number uint64
	truth  bool
}

// parseConfig reads the subset of TOML of libqrexec/toml.c.
func parseConfig(text []byte) (rpcConfig, error) {
	var c rpcConfig
	seen := map[string]bool{}
	lines := strings.Split(string(text), "\n")
	for i, line := range lines {
		if bytes.IndexByte([]byte(line), 0) >= 0 {
			return rpcConfig{}, fmt.Errorf("line %d: NUL byte in line", i+1)
		}
		if i < len(lines)-1 {
			line = strings.TrimSuffix(line, "\r")
		}
		line = strings.TrimRight(line, " \t")
		if line == "" || line[0] == '#' {
			continue
		}
		key, v, err := parseLine(line)
		if err != nil {
			return rpcConfig{}, fmt.Errorf("line %d: %w", i+1, err)
		}
		if seen[key] {
			return rpcConfig{}, fmt.Errorf("line %d: key %q appears more than once", i+1, key)
		}
		seen[key] = isKnown(key)
		if err := c.set(key, v); err != nil {
			return rpcConfig{}, fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	if c.forceUser != "" && c.socketOnly() {
		return rpcConfig{}, errors.New("force-user cannot be combined with keys of socket services")
	}
	return c, nil
}

func parseLine(line string) (string, value, error) {
	if !isLetter(line[0]) {
		return "", value{}, fmt.Errorf("invalid byte %q at start of key", line[0])
	}
	end := strings.IndexFunc(line, func(r rune) bool {
		return r > 0x7f || !isLetter(byte(r)) && !isDigit(byte(r)) && !strings.ContainsRune("._-", r)
	})
	if end < 0 {
		end = len(line)
	}
	rest, ok := strings.CutPrefix(strings.TrimLeft(line[end:], " \t"), "=")
	if !ok {
		return "", value{}, errors.New("missing '=' after key")
	}
	v, err := parseValue(strings.TrimLeft(rest, " \t"))
	return line[:end], v, err
}

func parseValue(text string) (value, error) {
	v, rest, err := parseScalar(text)
	if err != nil {
		return value{}, err
	}
	rest = strings.TrimLeft(rest, " \t")
	if rest != "" && rest[0] != '#' {
		return value{}, fmt.Errorf("unexpected junk after value: %q", rest)
	}
	return v, nil
}

func parseScalar(text string) (v value, rest string, err error) {
	switch {
	case text == "":
		return value{}, "", errors.New("missing value")
	case isDigit(text[0]):
		return parseNumber(text)
	case text[0] == '\'':
		if strings.HasPrefix(text, "'''") {
			return value{}, "", errors.New("triple-quoted strings not implemented")
		}
		quoted, rest, ok := strings.Cut(text[1:], "'")
		if !ok {
			return value{}, "", errors.New("unterminated quoted string")
		}
		return value{kind: "string", text: quoted}, rest, nil
	}
	if rest, ok := strings.CutPrefix(text, "true"); ok {
		return value{kind: "boolean", truth: true}, rest, nil
	}
	if rest, ok := strings.CutPrefix(text, "false"); ok {
		return value{kind: "boolean"}, rest, nil
	}
	return value{}, "", fmt.Errorf("unsupported value %q, strings need single quotes", text)
}

// parseNumber reads a decimal integer without leading zeros.
func parseNumber(text string) (value, string, error) {
	end := 1
	for text[0] != '0' && end < len(text) && isDigit(text[end]) {
		end++
	}
	number, err := strconv.ParseUint(text[:end], 10, 64)
	if err != nil {
		return value{}, "", fmt.Errorf("integer %q: %w", text[:end], err)
	}
	return value{kind: "integer", number: number}, text[end:], nil
}

func isKnown(key string) bool {
	switch key {
	case "wait-for-session", "force-user", "skip-service-descriptor", "exit-on-client-eof", "exit-on-service-eof":
		return true
	}
	return false
}

// set takes one key; an unknown key is no error.
func (c *rpcConfig) set(key string, v value) error {
	switch key {
	case "force-user":
		if v.kind != "string" {
			return fmt.Errorf("%s not valid for user name or user ID", v.kind)
		}
		c.forceUser = v.text
		return nil
	case "wait-for-session":
		if v.kind == "integer" && v.number < 2 {
			c.waitForSession = v.number == 1
			return nil
		}
		return setBool(&c.waitForSession, key, v)
	case "skip-service-descriptor":
		return setBool(&c.skipDescriptor, key, v)
	case "exit-on-client-eof":
		return setBool(&c.exitOnClientEOF, key, v)
	case "exit-on-service-eof":
		return setBool(&c.exitOnServerEOF, key, v)
	}
	return nil
}

func setBool(field *bool, key string, v value) error {
	if v.kind != "boolean" {
		return fmt.Errorf("%s value not valid for %q", v.kind, key)
	}
	*field = v.truth
	return nil
}

func isLetter(b byte) bool { return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' }
func isDigit(b byte) bool  { return b >= '0' && b <= '9' }
