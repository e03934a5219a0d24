package upstream

import (
	"context"
	"strings"
	"time"

	"github.com/splitvault/splitvault/pkg/userbus"
)

// SessionSocket asks the user manager, over the user's D-Bus, for SSH_AUTH_SOCK
// (org.freedesktop.systemd1.Manager, property Environment; what
// `systemctl --user show-environment` prints).
func SessionSocket(ctx context.Context, getenv func(string) string) string {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	conn, err := userbus.Connect(ctx, getenv)
	if err != nil {
		return ""
	}
	defer conn.Close()
	var env []string
	call := conn.Object("org.freedesktop.systemd1", "/org/freedesktop/systemd1").CallWithContext(ctx,
		"org.freedesktop.DBus.Properties.Get", 0, "org.freedesktop.systemd1.Manager", "Environment")
	if call.Store(&env) != nil {
		return ""
	}
	for _, assignment := range env {
		if path, ok := strings.CutPrefix(assignment, "SSH_AUTH_SOCK="); ok {
			return path
		}
	}
	return ""
}
