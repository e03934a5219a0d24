// Package gitcredential is the protocol between git and a credential helper
// (gitcredentials(7), git-credential(1), "INPUT/OUTPUT FORMAT"): lines of
// key=value, to an empty line or the end.
package gitcredential

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// maxInput bounds what git says, in bytes; it says a few lines.
const maxInput = 64 << 10

// ErrInput says that what came is not what git writes.
var ErrInput = errors.New("not a credential description of git's")

// Request is what git tells of a credential. Keys that are not here say nothing to
// a password store, and are ignored, as the protocol wants it.
type Request struct {
	Protocol string // "https"
	Host     string // with the port, if it is not the protocol's own
	Path     string // only with credential.useHttpPath
	Username string // "" if not known
	Password []byte // of store and erase
}

// Read reads a request.
func Read(r io.Reader) (Request, error) {
	untrusted, err := io.ReadAll(io.LimitReader(r, maxInput+1))
	defer clear(untrusted)
	if err != nil {
		return Request{}, fmt.Errorf("reading from git: %w", err)
	}
	if len(untrusted) > maxInput {
		return Request{}, fmt.Errorf("more than %d bytes: %w", maxInput, ErrInput)
	}
	var req Request
	for len(untrusted) > 0 {
		line := untrusted
		if end := slices.Index(untrusted, '\n'); end >= 0 {
			line, untrusted = untrusted[:end], untrusted[end+1:]
		} else {
			untrusted = nil
		}
		if len(line) == 0 {
			break
		}
		equal := slices.Index(line, '=')
		if equal <= 0 || slices.Contains(line, 0) {
			return Request{}, fmt.Errorf("a line of %d bytes without \"=\", or with a zero byte: %w", len(line), ErrInput)
		}
		req.set(string(line[:equal]), line[equal+1:])
	}
	return req, nil
}

func (r *Request) set(key string, value []byte) {
	switch key {
	case "protocol":
		r.Protocol = string(value)
	case "host":
		r.Host = strings.ToLower(string(value))
	case "path":
		r.Path = string(value)
	case "username":
		r.Username = string(value)
	case "password":
		r.Password = slices.Clone(value)
	}
}

// ErrValue says that a value cannot be told to git.
var ErrValue = errors.New("it holds a line feed or a zero byte, which git cannot take")

// Write answers a request; an empty name of a user is left out, and git asks for it.
func Write(w io.Writer, username string, password []byte) error {
	if strings.ContainsAny(username, "\n\x00") {
		return fmt.Errorf("the user name: %w", ErrValue)
	}
	if slices.Contains(password, '\n') || slices.Contains(password, 0) {
		return fmt.Errorf("the password: %w", ErrValue)
	}
	var answer []byte
	if username != "" {
		answer = append(append(append(answer, "username="...), username...), '\n')
	}
	answer = append(append(slices.Grow(append(answer, "password="...), len(password)+1), password...), '\n')
	defer clear(answer)
	_, err := w.Write(answer)
	return err
}

// Safe tells whether a password may be sent over this protocol to this host: it is
// encrypted on the way, or does not leave this machine.
func Safe(protocol, host string) bool {
	switch protocol {
	case "https", "smtps", "imaps":
		return true
	case "smtp", "imap": // with STARTTLS, which git send-email asks for by itself
		return true
	case "http":
		name := strings.TrimSuffix(host, ":"+port(host))
		return slices.Contains([]string{"localhost", "127.0.0.1", "[::1]"}, name)
	default:
		return false
	}
}

// port returns what follows the last colon, if that is a number.
func port(host string) string {
	i := strings.LastIndexByte(host, ':')
	if i < 0 || i == len(host)-1 || strings.Trim(host[i+1:], "0123456789") != "" || strings.HasSuffix(host[:i], ":") {
		return ""
	}
	return host[i+1:]
}

// WithoutPort is the host alone.
func WithoutPort(host string) string {
	if p := port(host); p != "" {
		return strings.TrimSuffix(host, ":"+p)
	}
	return host
}
