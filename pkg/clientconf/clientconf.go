// Package clientconf reads client.toml, in which a client qube's owner says which
// web pages may talk to the signer:
//
//	[clef]
//	origins = ["https://app.example.org"]
//
// The first file that exists counts, ~/.config/splitvault/client.toml, then
// /etc/splitvault/client.toml. Without one, no page may. Neither may one if there is
// a mistake in the file: it is refused whole, with its line.
package clientconf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"golang.org/x/sys/unix"

	"github.com/splitvault/splitvault/pkg/origin"
)

// SystemFile is the template's file, used where the user has none.
const SystemFile = "/etc/splitvault/client.toml"

const (
	maxFile    = 256 << 10 // bytes
	maxOrigins = 1000
)

// Config is a file without mistakes.
type Config struct {
	Path    string // "" if there is none
	Origins []origin.Origin
}

// Allows tells whether pages of an origin may talk to the signer.
func (c *Config) Allows(untrusted string) bool {
	for _, o := range c.Origins {
		if string(o) == untrusted {
			return true
		}
	}
	return false
}

// Paths returns where the file is looked for.
func Paths(getenv func(string) string) []string {
	config := getenv("XDG_CONFIG_HOME")
	if !filepath.IsAbs(config) {
		config = filepath.Join(getenv("HOME"), ".config")
	}
	return []string{filepath.Join(config, "splitvault", "client.toml"), SystemFile}
}

// Load reads the first of the files that exists.
func Load(paths ...string) (*Config, error) {
	for _, path := range paths {
		// Without HOME the user's own file cannot be found; the template's might
		// allow more.
		if !filepath.IsAbs(path) {
			return nil, fmt.Errorf("reading %s: not an absolute path (is HOME set?)", path)
		}
		text, err := read(path)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", path, err)
		}
		c, err := Parse(text)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", path, err)
		}
		c.Path = path
		return c, nil
	}
	return &Config{}, nil
}

// read fails with os.ErrNotExist only if there is nothing of that name: a link to
// a file that is gone is a mistake.
func read(path string) ([]byte, error) {
	if _, err := os.Lstat(path); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // a FIFO does not hold up the relay
	if err != nil {
		return nil, errors.New(strings.ReplaceAll(err.Error(), "no such file or directory", "it is a link to nothing"))
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("longer than %d bytes", maxFile)
	}
	return text, nil
}

// Parse reads the text of a file.
func Parse(text []byte) (*Config, error) {
	var doc struct {
		Clef struct {
			Origins []string `toml:"origins"`
		} `toml:"clef"`
	}
	if err := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields().Decode(&doc); err != nil {
		return nil, mistake(err)
	}
	if len(doc.Clef.Origins) > maxOrigins {
		return nil, fmt.Errorf("more than %d origins", maxOrigins)
	}
	c := &Config{}
	for _, text := range doc.Clef.Origins {
		o, err := origin.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("[clef] origins: %w", err)
		}
		c.Origins = append(c.Origins, o)
	}
	return c, nil
}

// mistake is what the decoder found, with its line.
func mistake(err error) error {
	if missing, ok := errors.AsType[*toml.StrictMissingError](err); ok && len(missing.Errors) > 0 {
		line, _ := missing.Errors[0].Position()
		return fmt.Errorf(`line %d: unknown key %q: the file has [clef] with origins = ["https://app.example.org"]`, line, strings.Join(missing.Errors[0].Key(), "."))
	}
	if decode, ok := errors.AsType[*toml.DecodeError](err); ok {
		line, _ := decode.Position()
		return fmt.Errorf("line %d: %s", line, strings.TrimPrefix(decode.Error(), "toml: "))
	}
	return err
}
