// Package dockercredential is the protocol between docker and a credential helper
// (docker/docker-credential-helpers, credentials/credentials.go and error.go): a
// verb as argument, a server's URL or JSON on standard input, JSON on standard
// output, where errors go, too.
package dockercredential

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/splitvault/splitvault/pkg/entryname"
)

// maxInput bounds what docker says, in bytes: tokens of registries may be long.
const maxInput = 256 << 10

// Errors that docker knows by their very text.
var (
	ErrNotFound   = errors.New("credentials not found in native keychain")
	ErrNoServer   = errors.New("no credentials server URL")
	ErrNoUsername = errors.New("no credentials username")
)

// Scope is where docker's own helper for pass keeps its entries: below it,
// BASE64URL(server URL)/USERNAME.
const Scope entryname.Scope = "docker-credential-helpers/"

// WholeFile is the user whose secret is a file of many lines, the key of a service
// account in JSON (Google's registries, "Set up authentication for Docker").
const WholeFile = "_json_key"

// Credentials is what get answers and store is given.
type Credentials struct {
	ServerURL string
	Username  string
	Secret    string
}

// ReadServer reads the input of get and erase.
func ReadServer(r io.Reader) (string, error) {
	untrusted, err := read(r)
	if err != nil {
		return "", err
	}
	server := strings.TrimSpace(string(untrusted))
	if server == "" {
		return "", ErrNoServer
	}
	return server, nil
}

// ReadCredentials reads the input of store.
func ReadCredentials(r io.Reader) (Credentials, error) {
	untrusted, err := read(r)
	defer clear(untrusted)
	if err != nil {
		return Credentials{}, err
	}
	var c Credentials
	if err := json.Unmarshal(untrusted, &c); err != nil {
		return Credentials{}, fmt.Errorf("reading docker's credentials: %w", err)
	}
	switch {
	case c.ServerURL == "":
		return Credentials{}, ErrNoServer
	case c.Username == "":
		return Credentials{}, ErrNoUsername
	}
	return c, nil
}

func read(r io.Reader) ([]byte, error) {
	untrusted, err := io.ReadAll(io.LimitReader(r, maxInput+1))
	if err != nil {
		return nil, fmt.Errorf("reading from docker: %w", err)
	}
	if len(untrusted) > maxInput {
		return nil, fmt.Errorf("reading from docker: more than %d bytes", maxInput)
	}
	return untrusted, nil
}

// Write answers with one JSON value and a line feed.
func Write(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// Directory is where docker's own helper keeps a server's entry.
func Directory(server string) string {
	return string(Scope) + base64.URLEncoding.EncodeToString([]byte(server)) + "/"
}

// ServerOf is the inverse: the server and user of an entry below [Scope].
func ServerOf(name string) (server, username string, ok bool) {
	encoded, username, found := strings.Cut(strings.TrimPrefix(name, string(Scope)), "/")
	decoded, err := base64.URLEncoding.DecodeString(encoded)
	if !found || err != nil || username == "" || !strings.HasPrefix(name, string(Scope)) {
		return "", "", false
	}
	return string(decoded), username, true
}

// Host is the host of a server, with its port if it has one: docker names servers
// as "https://index.docker.io/v1/", "registry.example.com:5000" or
// "registry.example.com/path".
func Host(server string) (string, bool) {
	if !strings.Contains(server, "://") {
		server = "https://" + server
	}
	u, err := url.Parse(server)
	if err != nil || u.Hostname() == "" {
		return "", false
	}
	return strings.ToLower(u.Host), true
}
