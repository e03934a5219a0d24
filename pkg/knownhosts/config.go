package knownhosts

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	maxConfig     = 1 << 20 // bytes of one ssh_config file
	maxConfigs    = 32      // files, with all that are included
	maxCandidates = 10_000
)

// ConfigPaths are ssh's own configuration files in this qube.
func ConfigPaths(getenv func(string) string) []string {
	paths := []string{"/etc/ssh/ssh_config"}
	if home := getenv("HOME"); filepath.IsAbs(home) {
		paths = append([]string{filepath.Join(home, ".ssh/config")}, paths...)
	}
	return paths
}

// Candidates returns the hosts that ssh_config(5) files name: Host without
// patterns, HostName, and either with the block's Port. They are guesses at what
// hashed entries stand for, no more: a file that cannot be read has none.
func Candidates(paths ...string) []string {
	c := collector{}
	for _, path := range paths {
		c.file(path)
	}
	return c.found
}

type collector struct {
	found []string
	files []string

	// The block at hand.
	hosts     []string
	hostNames []string
	ports     []string
}

// file reads one file; it ends the block at hand.
func (c *collector) file(path string) {
	if len(c.files) == maxConfigs || slices.Contains(c.files, path) {
		return
	}
	c.files = append(c.files, path)
	text, err := readConfig(path)
	if err != nil {
		return // it has no candidates then
	}
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		c.line(path, lines.Text())
	}
	c.endBlock()
}

func readConfig(path string) (string, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return "", fmt.Errorf("reading %q: %w", path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("reading %q: %w", path, err)
	}
	if !info.Mode().IsRegular() {
		return "", errors.New("not a regular file")
	}
	b, err := io.ReadAll(io.LimitReader(f, maxConfig))
	return string(b), err
}

// line takes "Keyword value…" or "Keyword=value".
func (c *collector) line(path, line string) {
	line = strings.TrimSpace(line)
	end := strings.IndexAny(line, " \t=")
	if end < 0 || line[0] == '#' {
		return
	}
	values := strings.Fields(strings.ReplaceAll(strings.TrimLeft(line[end:], " \t="), `"`, " "))
	switch strings.ToLower(line[:end]) {
	case "host":
		c.endBlock()
		c.hosts = values
	case "match":
		c.endBlock()
	case "hostname":
		c.hostNames = append(c.hostNames, values...)
	case "port":
		c.ports = append(c.ports, values...)
	case "include":
		c.include(path, values)
	}
}

// include reads other files, beside the including one if they are relative
// (ssh_config(5): ~/.ssh or /etc/ssh).
func (c *collector) include(path string, patterns []string) {
	hosts, hostNames, ports := c.hosts, c.hostNames, c.ports
	c.hosts, c.hostNames, c.ports = nil, nil, nil
	for _, pattern := range patterns {
		switch rest, home := strings.CutPrefix(pattern, "~/"); {
		case home: // the user's own file is ~/.ssh/config
			pattern = filepath.Join(filepath.Dir(filepath.Dir(path)), rest)
		case !filepath.IsAbs(pattern):
			pattern = filepath.Join(filepath.Dir(path), pattern)
		}
		files, err := filepath.Glob(pattern)
		if err != nil {
			continue // a pattern that is none names no file
		}
		for _, f := range files {
			c.file(f)
		}
	}
	c.hosts, c.hostNames, c.ports = hosts, hostNames, ports
}

func (c *collector) endBlock() {
	names := slices.Clone(c.hosts)
	for _, h := range c.hostNames {
		if !strings.Contains(h, "%h") {
			names = append(names, h)
			continue
		}
		for _, host := range c.hosts {
			names = append(names, strings.ReplaceAll(h, "%h", host))
		}
	}
	for _, name := range names {
		c.add(name)
		for _, port := range c.ports {
			c.add("[" + name + "]:" + port)
		}
	}
	c.hosts, c.hostNames, c.ports = nil, nil, nil
}

func (c *collector) add(name string) {
	normal, ok := Normalise(name)
	if ok && isPlain(normal) && len(c.found) < maxCandidates && !slices.Contains(c.found, normal) {
		c.found = append(c.found, normal)
	}
}
