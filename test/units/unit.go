// Package units checks what is installed but is not a program: unit files, links
// and shell files of units/ and templatevm/.
package units

import (
	"fmt"
	"os"
	"strings"
)

// Unit is a unit file: the values of each key, in order, by "Section.Key".
type Unit map[string][]string

// Read parses a unit file (systemd.syntax(7), without continued lines, which
// our files do not use).
func Read(path string) (Unit, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	unit := make(Unit)
	section := ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";"):
		case strings.HasSuffix(line, `\`):
			return nil, fmt.Errorf("reading %q: a continued line: %q", path, line)
		case strings.HasPrefix(line, "[") && strings.HasSuffix(line, "]"):
			section = line[1 : len(line)-1]
		default:
			key, value, found := strings.Cut(line, "=")
			if !found || section == "" {
				return nil, fmt.Errorf("reading %q: neither section nor setting: %q", path, line)
			}
			unit[section+"."+key] = append(unit[section+"."+key], value)
		}
	}
	return unit, nil
}

// Get returns the only value of a key, "" if it has none or several.
func (u Unit) Get(key string) string {
	if len(u[key]) != 1 {
		return ""
	}
	return u[key][0]
}
