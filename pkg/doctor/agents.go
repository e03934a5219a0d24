package doctor

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/splitvault/splitvault/pkg/journal"
	"github.com/splitvault/splitvault/pkg/rules"
)

// agents asks the agents that ssh-guard uses: those that the rules name, and for
// calls without a name, unless the rules name a "default", the first that can be
// reached at the usual places.
func (d *diagnosis) agents(ctx context.Context) (Result, bool) {
	var named map[rules.AgentName]rules.AgentPaths
	if file, err := d.env.Rules(); err == nil {
		named = file.SSH.Agents
	}
	for _, name := range slices.Sorted(maps.Keys(named)) {
		if result, wrong := d.namedAgent(ctx, name, named[name]); wrong {
			return result, true
		}
	}
	if paths, found := named["default"]; found {
		return d.keys(ctx, paths.Expand(d.runtime(), d.env.Getenv("HOME"))), true
	}
	return d.search(ctx), true
}

// namedAgent checks the sockets of one line of [ssh.agents].
func (d *diagnosis) namedAgent(ctx context.Context, name rules.AgentName, paths rules.AgentPaths) (result Result, wrong bool) {
	for _, path := range paths.Expand(d.runtime(), d.env.Getenv("HOME")) {
		if d.own(path) {
			return problem("agent", fmt.Sprintf("agent %q of rules.toml is splitvault's own socket: a loop", name),
				d.here("name the real agent's socket in [ssh.agents]")), true
		}
		if _, err := d.list(ctx, path, agentTime); err != nil {
			return problem("agent", fmt.Sprintf("agent %q of rules.toml does not answer: %v", name, err),
				d.here("start it, or correct [ssh.agents]")), true
		}
	}
	return Result{}, false
}

// search finds the agent that no rule names.
func (d *diagnosis) search(ctx context.Context) Result {
	var tried []string
	loop := false
	for _, path := range d.places(ctx) {
		if d.own(path) {
			loop = true // the guard passes it over, too
			continue
		}
		conn, err := d.env.Dial(ctx, path)
		if err != nil {
			tried = append(tried, path)
			continue
		}
		_ = conn.Close()
		return d.keys(ctx, []string{path})
	}
	if loop {
		return problem("agent", "the only agent here is splitvault's own socket: this qube is client and vault at once",
			dom0("qvm-service %s splitvault-ssh off", d.self()), d.restart())
	}
	return problem("agent", "no agent runs; looked at "+strings.Join(tried, ", "),
		d.here("systemctl --user enable --now ssh-agent.socket   (Debian 13; elsewhere start ssh-agent or gpg-agent your way)"),
		d.here("or name its socket in rules.toml; see splitvault-rules(5)"))
}

// keys counts what the agents of a call without a name hold.
func (d *diagnosis) keys(ctx context.Context, paths []string) Result {
	var keys []*agent.Key
	where := strings.Join(paths, " and ")
	for _, path := range paths {
		more, err := d.list(ctx, path, agentTime)
		if err != nil {
			return problem("agent", fmt.Sprintf("the agent at %s does not tell its keys: %v", path, err), d.here("SSH_AUTH_SOCK=%s ssh-add -l   (if that hangs or fails, start that agent anew)", path))
		}
		keys = append(keys, more...)
	}
	if len(keys) == 0 {
		return problem("agent", "no keys in the agent at "+where+", or it is locked",
			d.here("SSH_AUTH_SOCK=%s ssh-add ~/.ssh/id_ed25519", paths[0]))
	}
	text := fmt.Sprintf("keys in the agent at %s: %d", where, len(keys))
	if d.opts.Verbose {
		text += names(keys)
	}
	return ok("agent", "%s", text)
}

// names has a line per key. Comments are the other side's text.
func names(keys []*agent.Key) string {
	var b strings.Builder
	for _, key := range keys {
		fmt.Fprintf(&b, "\n%s %s", ssh.FingerprintSHA256(key), journal.Quote(key.Comment))
	}
	return b.String()
}

// own tells whether a path is one of splitvault's own sockets, as client.
func (d *diagnosis) own(path string) bool {
	dir, name := filepath.Split(filepath.Clean(path))
	return filepath.Clean(dir) == filepath.Join(d.runtime(), "ssh") && (name == "S.ssh-agent" || strings.HasSuffix(name, ".sock"))
}

// services returns the environment of the user's services; none if nobody tells.
func (d *diagnosis) services(ctx context.Context) map[string]string {
	if d.manager != nil {
		return d.manager
	}
	if out, err := d.run(ctx, "systemctl", "--user", "show-environment"); err == nil && out.Exit == 0 {
		d.manager = pairs(out.Stdout)
	}
	return d.manager
}

// places returns where ssh-guard looks for an agent that no rule names, in its
// order. A call into a qube without session has neither variable.
func (d *diagnosis) places(ctx context.Context) []string {
	runtime := d.runtime()
	all := []string{
		d.env.Getenv("SSH_AUTH_SOCK"), d.services(ctx)["SSH_AUTH_SOCK"],
		filepath.Join(runtime, "openssh_agent"), filepath.Join(runtime, "gcr/ssh"),
		filepath.Join(runtime, "gnupg/S.gpg-agent.ssh"), filepath.Join(runtime, "keyring/ssh"),
	}
	var places []string
	for _, path := range all {
		if path != "" && !slices.Contains(places, path) {
			places = append(places, path)
		}
	}
	return places
}
