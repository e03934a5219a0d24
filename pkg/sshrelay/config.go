package sshrelay

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/splitvault/splitvault/pkg/qrexec"
	"github.com/splitvault/splitvault/pkg/rundir"
	"github.com/splitvault/splitvault/pkg/slots"
)

const (
	defaultService = "qubes.Ssh"
	defaultIdle    = 10 * time.Second
	poolName       = "ssh"
	poolSize       = 8 // of the 10 to 25 concurrent calls that Xen bears, for all services
)

// Config is what the environment of the unit says.
type Config struct {
	Dialer   *Dialer
	Agent    string // "" for the main socket
	Idle     time.Duration
	StateDir string // %t/splitvault, "" if there is none
	StateErr error  // why there is none: then calls are not bounded
	Self     string // name of this qube, "" if unknown
}

// ConfigFrom reads the environment. socket is the path on which the client
// connected: "S.ssh-agent" is the vault's main agent, "NAME.sock" its agent NAME
// (qubes.Ssh+NAME).
func ConfigFrom(getenv func(string) string, socket, self string) (*Config, error) {
	target, err := qrexec.ParseTarget(getenv("QUBES_SSH_DOMAIN"))
	if err != nil {
		return nil, fmt.Errorf("reading QUBES_SSH_DOMAIN: %w", err)
	}
	name := getenv("QUBES_SSH_SERVICE")
	if name == "" {
		name = defaultService
	}
	service, err := qrexec.ParseService(name)
	if err != nil {
		return nil, fmt.Errorf("reading QUBES_SSH_SERVICE: %w", err)
	}
	c := &Config{Idle: defaultIdle, Self: self, Agent: agentOf(socket)}
	if c.Agent != "" {
		if strings.Contains(name, "+") {
			return nil, fmt.Errorf("reading QUBES_SSH_SERVICE: it names an agent, and so does the socket %q: leave +AGENT out", filepath.Base(socket))
		}
		if service, err = qrexec.ParseService(name + "+" + c.Agent); err != nil {
			return nil, fmt.Errorf("taking the agent's name from the socket %q (letters, digits, \"_\", \".\", \"-\"): %w", filepath.Base(socket), err)
		}
	}
	if idle := getenv("SPLITVAULT_SSH_IDLE"); idle != "" {
		if c.Idle, err = time.ParseDuration(idle); err != nil || c.Idle < 0 {
			return nil, fmt.Errorf(`reading SPLITVAULT_SSH_IDLE: %.40q is no duration such as "10s", or "0"`, idle)
		}
	}
	client := getenv("SPLITVAULT_QREXEC_CLIENT")
	if client == "" {
		client = qrexec.DefaultClient
	}
	c.Dialer = &Dialer{Client: client, Target: target, Service: service}
	warm, err := parseWarm(getenv("SPLITVAULT_SSH_WARM"))
	if err != nil {
		return nil, err
	}
	base := rundir.Base(getenv)
	if c.StateDir, c.StateErr = rundir.Make(base); c.StateErr == nil {
		var pool string
		if pool, c.StateErr = rundir.Make(base, "slots"); c.StateErr == nil {
			c.Dialer.Pool = slots.New(pool, poolName, poolSize)
		}
	}
	if c.StateErr == nil && warm > 0 {
		var dir string
		if dir, c.StateErr = rundir.Make(base, "warm"); c.StateErr == nil {
			c.Dialer.Warm = &Warm{Dir: dir, For: warm, Kind: fmt.Sprintf("%q", []string{client, string(target), string(service)})}
		}
	}
	return c, nil
}

func agentOf(socket string) string {
	name, ok := strings.CutSuffix(filepath.Base(socket), ".sock")
	if !ok {
		return ""
	}
	return name
}
