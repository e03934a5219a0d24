package sshrelay

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/splitvault/splitvault/pkg/qrexec"
)

func TestConfigFrom(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		env     map[string]string
		socket  string
		service qrexec.Service // "" wants an error
		target  qrexec.Target
		idle    time.Duration
		says    string
	}{
		{name: "nothing set", socket: "/run/user/1000/ssh/S.ssh-agent", service: "qubes.Ssh", target: "@default", idle: 10 * time.Second},
		{name: "no path", service: "qubes.Ssh", target: "@default", idle: 10 * time.Second},
		{name: "agent by the socket's name", socket: "/run/user/1000/ssh/card.sock", service: "qubes.Ssh+card", target: "@default", idle: 10 * time.Second},
		{
			name: "all set", env: map[string]string{"QUBES_SSH_DOMAIN": "vault", "QUBES_SSH_SERVICE": "qubes.SshAgent+x", "SPLITVAULT_SSH_IDLE": "0"},
			socket: "S.ssh-agent", service: "qubes.SshAgent+x", target: "vault",
		},
		{
			name: "the official service, agent by the socket", env: map[string]string{"QUBES_SSH_SERVICE": "qubes.SshAgent", "SPLITVAULT_SSH_IDLE": "1m"},
			socket: "work.sock", service: "qubes.SshAgent+work", target: "@default", idle: time.Minute,
		},
		{name: "warm for too long", env: map[string]string{"SPLITVAULT_SSH_WARM": "1h"}, says: "SPLITVAULT_SSH_WARM"},
		{name: "two agents", env: map[string]string{"QUBES_SSH_SERVICE": "qubes.Ssh+x"}, socket: "card.sock", says: "leave +AGENT out"},
		{name: "agent with a space", socket: "my card.sock", says: `from the socket "my card.sock"`},
		{name: "agent too long", socket: strings.Repeat("a", 250) + ".sock", says: "from the socket"},
		{name: "not a qube", env: map[string]string{"QUBES_SSH_DOMAIN": "va ult"}, says: "QUBES_SSH_DOMAIN"},
		{name: "an option as qube", env: map[string]string{"QUBES_SSH_DOMAIN": "--help"}, says: "QUBES_SSH_DOMAIN"},
		{name: "not a service", env: map[string]string{"QUBES_SSH_SERVICE": "qubes/Ssh"}, says: "QUBES_SSH_SERVICE"},
		{name: "no unit", env: map[string]string{"SPLITVAULT_SSH_IDLE": "10"}, says: `"10" is no duration`},
		{name: "negative", env: map[string]string{"SPLITVAULT_SSH_IDLE": "-1s"}, says: "SPLITVAULT_SSH_IDLE"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			base := t.TempDir()
			got, err := ConfigFrom(func(key string) string {
				if key == "XDG_RUNTIME_DIR" {
					return base
				}
				return tt.env[key]
			}, tt.socket, "work")
			if tt.service == "" {
				if err == nil || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("error %v, want that it says %q", err, tt.says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got.Dialer.Service != tt.service || got.Dialer.Target != tt.target || got.Idle != tt.idle || got.Self != "work" ||
				got.Dialer.Client != qrexec.DefaultClient || got.Dialer.Pool == nil || got.StateErr != nil || got.StateDir != filepath.Join(base, "splitvault") {
				t.Errorf("got %+v, %+v", got, got.Dialer)
			}
		})
	}
}

// Without a safe place for the slots calls are not bounded, and still made.
func TestConfigWithoutStateDirectory(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	if err := os.Symlink("/tmp", filepath.Join(base, "splitvault")); err != nil {
		t.Fatal(err)
	}
	got, err := ConfigFrom(func(key string) string { return map[string]string{"XDG_RUNTIME_DIR": base}[key] }, "S.ssh-agent", "")
	if err != nil {
		t.Fatal(err)
	}
	if got.StateErr == nil || got.Dialer.Pool != nil || got.Dialer.Contended() {
		t.Errorf("got %+v", got)
	}
}
