package machine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// bootTarget is what a qube's systemd starts instead of default.target.
const bootTarget = "qubebench.target"

// chooseUnits makes the system manager boot only what a user's service manager
// needs, by forgetting what the distribution's packages want started. No unit
// is masked, and the user manager's own ".wants" stay: they are under test.
func chooseUnits(c Config) error {
	for _, pattern := range []string{
		"etc/systemd/system/*.wants", "etc/systemd/system/*.requires", "usr/lib/systemd/system/*.wants",
		"etc/systemd/system-generators", "usr/lib/systemd/system-generators",
	} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return err
		}
		for _, f := range found {
			if err := os.RemoveAll(f); err != nil {
				return err
			}
		}
	}
	session := fmt.Sprintf("sockets.target dbus.socket systemd-logind.service user@%d.service ", UID) + strings.Join(c.Units, " ")
	target := "[Unit]\n" +
		"Wants=sysinit.target systemd-journald.socket systemd-journald-dev-log.socket systemd-journald.service " + session + "\n" +
		"After=sysinit.target " + session + "\n" +
		"AllowIsolate=yes\n"
	return errors.Join(
		writeFile("etc/systemd/system/"+bootTarget, target, 0o644),
		writeFile("etc/systemd/journald.conf.d/qubebench.conf",
			"[Journal]\nStorage=volatile\nAudit=no\nRateLimitIntervalSec=0\n", 0o644),
	)
}
