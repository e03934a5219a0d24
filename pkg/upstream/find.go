// Package upstream finds and talks to the real agents of the vault: OpenSSH's
// ssh-agent, gpg-agent and whatever else speaks the protocol on a socket.
package upstream

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/splitvault/splitvault/pkg/rules"
)

var (
	// ErrLoop says that an agent's socket is the one on which this very qube
	// asks another vault: a request would go round.
	ErrLoop = errors.New("this qube is client and vault: the agent's socket is splitvault's own, " +
		"switch the service splitvault-ssh off for this qube, or name an agent in [ssh.agents]")
	// ErrUnknownAgent says that a client named an agent that is not configured.
	ErrUnknownAgent = errors.New("no such agent in [ssh.agents]")
	// ErrNoAgent says that no agent runs.
	ErrNoAgent = errors.New("no ssh agent runs in this qube: start one, then ssh-add")
)

// Place is where agents are looked for.
type Place struct {
	Runtime string // $XDG_RUNTIME_DIR
	Home    string
	// Environment is SSH_AUTH_SOCK of this process, "" if unset.
	Environment string
	// Session asks the user manager for SSH_AUTH_SOCK: a service that qrexec
	// starts without a session does not inherit it. "" if unset or no manager.
	Session func(ctx context.Context) string
	// Official is where the agents of the official split-ssh have their sockets,
	// NAME.sock: [OfficialDir]. They need no configuration.
	Official string
}

// OfficialDir is the directory of the official split-ssh (QubesOS/qubes-app-linux-split-ssh).
const OfficialDir = "/run/split-ssh"

// known are the sockets that distributions give their agents, below
// $XDG_RUNTIME_DIR: Debian 13's ssh-agent.socket, gcr, gpg-agent, gnome-keyring.
func known() []string {
	return []string{"openssh_agent", "gcr/ssh", "gnupg/S.gpg-agent.ssh", "keyring/ssh"}
}

// Dial connects to the agents that serve name: those [ssh.agents] lists, all of
// which must answer; for a call without name, where [ssh.agents] has no
// "default", the first that can be reached of $SSH_AUTH_SOCK, the user
// manager's SSH_AUTH_SOCK, and the usual sockets of the distributions.
func (p *Place) Dial(ctx context.Context, s *rules.SSH, name rules.AgentName) (Agents, error) {
	lookup := name
	if lookup == "" {
		lookup = rules.DefaultAgent
	}
	if paths, ok := s.Agents[lookup]; ok {
		return p.dialAll(ctx, paths.Expand(p.Runtime, p.Home))
	}
	if name == "" {
		return p.search(ctx)
	}
	official := filepath.Join(p.Official, string(name)+".sock")
	if info, err := os.Stat(official); err == nil && info.Mode()&os.ModeSocket != 0 {
		return p.dialAll(ctx, []string{official})
	}
	return nil, fmt.Errorf("agent %q: %w", name, ErrUnknownAgent)
}

func (p *Place) dialAll(ctx context.Context, paths []string) (Agents, error) {
	var agents Agents
	for _, path := range paths {
		agent, err := p.dial(ctx, path)
		if err != nil {
			agents.Close()
			return nil, err
		}
		agents = append(agents, agent)
	}
	return agents, nil
}

func (p *Place) search(ctx context.Context) (Agents, error) {
	var wrong []error
	// The three sources often name the same socket: an agent that hangs is
	// waited for once.
	tried := []string{""}
	try := func(path string) Agents {
		if slices.Contains(tried, path) {
			return nil
		}
		tried = append(tried, path)
		agent, err := p.dial(ctx, path)
		if err != nil {
			wrong = append(wrong, err)
			return nil
		}
		return Agents{agent}
	}
	if found := try(p.Environment); found != nil {
		return found, nil
	}
	if p.Session != nil {
		if found := try(p.Session(ctx)); found != nil {
			return found, nil
		}
	}
	for _, name := range known() {
		if found := try(filepath.Join(p.Runtime, name)); found != nil {
			return found, nil
		}
	}
	return nil, fmt.Errorf("%w (%w)", ErrNoAgent, errors.Join(wrong...))
}

func (p *Place) dial(ctx context.Context, path string) (*Agent, error) {
	if err := p.checkLoop(path); err != nil {
		return nil, err
	}
	return Dial(ctx, path)
}

// checkLoop compares the file behind path with the sockets of the client side,
// as links and other names may lead to them.
func (p *Place) checkLoop(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("looking at the agent's socket: %w", err)
	}
	dir := filepath.Join(p.Runtime, "ssh")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil //nolint:nilerr // no client side here
	}
	for _, e := range entries {
		if e.Name() != "S.ssh-agent" && !strings.HasSuffix(e.Name(), ".sock") {
			continue
		}
		if own, err := os.Stat(filepath.Join(dir, e.Name())); err == nil && os.SameFile(own, info) {
			return fmt.Errorf("agent at %s: %w", path, ErrLoop)
		}
	}
	return nil
}
