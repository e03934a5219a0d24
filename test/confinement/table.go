package confinement

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/splitvault/splitvault/test/units"
)

// notConfining are keys of [Service] that say how a daemon runs, not what it may.
var notConfining = []string{
	"ExecStart", "ExecStop", "StandardError", "Environment", "EnvironmentFile", "TimeoutStartSec", "TimeoutStopSec", "WatchdogSec", "WatchdogSignal", "Type", "KillSignal", "User",
}

// Settings are the confining settings of each service below dir (the project's
// units/), for one of the two managers; by setting, the names of the units.
func Settings(dir string, system bool) (map[string][]string, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*", "*.service"))
	if err != nil || len(paths) == 0 {
		return nil, fmt.Errorf("no units in %q: %w", dir, err)
	}
	found := map[string][]string{}
	for _, path := range paths {
		if (filepath.Base(filepath.Dir(path)) == "network") != system {
			continue
		}
		unit, err := units.Read(path)
		if err != nil {
			return nil, err
		}
		name := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(path), "splitvault-"), ".service")
		for key, values := range unit {
			key, service := strings.CutPrefix(key, "Service.")
			if !service || slices.Contains(notConfining, key) {
				continue
			}
			for _, value := range values {
				found[key+"="+value] = append(found[key+"="+value], name)
			}
		}
	}
	return found, nil
}

// Table is what docs/confinement.md has of the options: which unit has it, and what
// a service can do without it.
func Table(dir string) (string, error) {
	var b strings.Builder
	for _, m := range []struct {
		title   string
		system  bool
		options []Option
	}{
		{"Units of the user's own systemd", false, UserOptions()},
		{"Units of the system's systemd (network set-up)", true, SystemOptions()},
	} {
		settings, err := Settings(dir, m.system)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "%s:\n\n| option | without it a service can | units |\n|---|---|---|\n", m.title)
		for _, o := range m.options {
			names := settings[o.Setting]
			if len(names) == 0 {
				continue
			}
			probe := o.Probe
			if o.Opens {
				probe = "*not* " + probe
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", o.Setting, probe, strings.Join(names, ", "))
		}
		b.WriteString("\n")
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}
