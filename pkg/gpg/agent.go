package gpg

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"time"
)

// agentTime bounds the start of gpg-agent.
const agentTime = 10 * time.Second

// StartAgent has gpg-agent run. A guard calls it before it confines itself: an agent
// that gpg starts later would be as confined, and of no use to anyone.
func (r Runner) StartAgent(ctx context.Context, runtime string, getenv func(string) string) error {
	ctx, cancel := context.WithTimeout(ctx, agentTime)
	defer cancel()
	if home := getenv("GNUPGHOME"); home == "" || home == filepath.Join(getenv("HOME"), ".gnupg") {
		// Where the socket is anyway, asking for it costs the start of a program.
		var d net.Dialer
		conn, err := d.DialContext(ctx, "unix", filepath.Join(runtime, "gnupg", "S.gpg-agent"))
		if err == nil {
			return conn.Close()
		}
	}
	cmd := exec.CommandContext(ctx, "/usr/bin/gpgconf", "--launch", "gpg-agent")
	cmd.Env = r.Env
	cmd.WaitDelay = killGrace
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("starting gpg-agent: %w", err)
	}
	return nil
}
