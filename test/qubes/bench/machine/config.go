package machine

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// The ordinary user of every qube, as Qubes templates have it.
const (
	User = "user"
	UID  = 1000
)

// searchPath is the PATH of what the bench starts in a qube.
const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Config says what to boot.
type Config struct {
	// Name is the qube's name and its host name.
	Name string `json:"name"`
	// Root is the directory of the distribution: the lowest layer, read-only.
	// It is never the host's own root.
	Root string `json:"root"`
	// Layers are directories laid over Root, later ones above earlier ones:
	// what the template's packages install. They are copied at boot and belong
	// to root in the qube, whoever owns them here.
	Layers []string `json:"layers,omitempty"`
	// Services are the Qubes services that are on: files in /run/qubes-service.
	Services []string `json:"services,omitempty"`
	// DB is the qube's QubesDB beside /name, /type and /qubes-service: files
	// below /run/qubesdb-bench that the bench's qubesdb-read prints.
	DB map[string]string `json:"db,omitempty"`
	// Files are further files to write at boot: absolute path to content.
	Files map[string]string `json:"files,omitempty"`
	// Units are system units to start at boot beside what a user session needs.
	Units []string `json:"units,omitempty"`
	// Binds are directories of the host's to show in the qube.
	Binds []Bind `json:"binds,omitempty"`
}

// Bind shows the host's directory Source at Target in a qube.
type Bind struct {
	Source string `json:"source"`
	Target string `json:"target"`
}

// ParseBind reads "/SOURCE:/TARGET".
func ParseBind(s string) (Bind, error) {
	source, target, ok := strings.Cut(s, ":")
	if !ok || !filepath.IsAbs(source) || !filepath.IsAbs(target) {
		return Bind{}, fmt.Errorf("bind %q: want /SOURCE:/TARGET", s)
	}
	return Bind{Source: source, Target: target}, nil
}

// check refuses what must not or cannot boot.
func (c Config) check() error {
	if err := checkName(c.Name); err != nil {
		return err
	}
	root, err := os.Stat(c.Root)
	if err != nil {
		return fmt.Errorf("root of %q: %w", c.Name, err)
	}
	host, err := os.Stat("/")
	if err != nil {
		return err
	}
	// A booting systemd on the host's files would show what is installed here,
	// and one mistake in a mount would reach the host.
	if os.SameFile(root, host) {
		return fmt.Errorf("root of %q is the host's own: name a directory made by \"qubebench root-build\"", c.Name)
	}
	if _, err := os.Stat(filepath.Join(c.Root, systemd)); err != nil {
		return fmt.Errorf("root of %q has no systemd: %w", c.Name, err)
	}
	// Overlay options are separated by these, and have no quoting everywhere.
	if strings.ContainsAny(c.Root, ":,\\") {
		return fmt.Errorf("root of %q: the path %q contains one of : , \\", c.Name, c.Root)
	}
	for _, l := range c.Layers {
		if st, err := os.Stat(l); err != nil {
			return fmt.Errorf("layer of %q: %w", c.Name, err)
		} else if !st.IsDir() {
			return fmt.Errorf("layer of %q: %q is not a directory", c.Name, l)
		}
	}
	return nil
}

// checkName holds a name to what Qubes allows, which also is a host name and
// one path component.
func checkName(name string) error {
	if !regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,30}$`).MatchString(name) {
		return fmt.Errorf("qube name %q: want a letter, then letters, digits, - or _, 31 at most", name)
	}
	if name == "dom0" {
		return errors.New(`qube name "dom0" is taken`)
	}
	return nil
}

func (c Config) encode() (string, error) {
	b, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("encoding the qube's configuration: %w", err)
	}
	return string(b), nil
}

// Decode reads a Config as Start and Supervise hand it to their child.
func Decode(s string) (Config, error) {
	var c Config
	if err := json.Unmarshal([]byte(s), &c); err != nil {
		return Config{}, fmt.Errorf("decoding the qube's configuration: %w", err)
	}
	return c, nil
}
