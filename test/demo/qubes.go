package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	policyText = `qubes.Ssh * work @anyvm allow target=vault
pass.ListPasswords * work @anyvm allow target=vault
pass.GetField * work @anyvm allow target=vault
pass.GetPassword * work @anyvm allow target=vault
`
	rulesText = `[[ssh.rule]]
qube = "work"
decision = "allow"

[[pass.rule]]
qube = "work"
entries = ["work/**"]
verbs = ["list", "field", "otp"]
decision = "allow"
`
	qubesText = `{"qubes": {
  "dom0":  {"name": "dom0", "type": "AdminVM", "running": true},
  "vault": {"name": "vault", "type": "AppVM", "running": true},
  "work":  {"name": "work", "type": "AppVM", "running": true}
}}
`
)

// build makes both qubes and starts what lives in them, in the order in which
// one needs the other.
func (w *world) build(ctx context.Context) error {
	err := w.mkdir("log", "dom0/policy", "dom0/qrexec/vault", "dom0/qrexec/work",
		"vault/home", "vault/run", "vault/config/splitvault", "vault/rpc", "vault/rpc-config", "vault/gnupg",
		"work/home", "work/run/ssh", "work/run/splitvault", "work/config", "work/bin", "work/rpc", "work/rpc-config", "server")
	if err != nil {
		return err
	}
	for _, part := range []func(context.Context) error{w.vault, w.passwords, w.dom0, w.work, w.server} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}

// vault is the qube with the key: a real ssh-agent, the rules, and ssh-guard as
// the qrexec service qubes.Ssh.
func (w *world) vault(ctx context.Context) error {
	if err := w.write("vault/config/splitvault/rules.toml", rulesText); err != nil {
		return err
	}
	if err := os.Symlink(w.guard, w.path("vault/rpc/qubes.Ssh")); err != nil {
		return err
	}
	socket := w.path("vault/run/agent")
	// Debian's ssh-agent is setgid, which would lift the signal that ends it
	// should the demo be killed (prctl(2), PR_SET_PDEATHSIG).
	err := w.start("ssh-agent", w.env("vault"), w.setpriv, "--no-new-privs", w.sshAgent, "-D", "-a", socket)
	if err != nil {
		return err
	}
	if err := w.exists(ctx, socket); err != nil {
		return err
	}
	key := w.path("vault/home/key")
	env := w.env("vault", "SSH_AUTH_SOCK="+socket)
	if err := w.do(ctx, env, w.sshKeygen, "-q", "-t", "ed25519", "-N", "", "-C", "demo key", "-f", key); err != nil {
		return err
	}
	if err := w.do(ctx, env, w.sshAdd, "-q", key); err != nil {
		return err
	}
	// From here on only the agent has it.
	return os.Remove(key)
}

// dom0 is the emulator of qrexec: its policy, and an agent in each qube.
func (w *world) dom0(ctx context.Context) error {
	if err := w.write("dom0/policy/30-splitvault.policy", policyText); err != nil {
		return err
	}
	if err := w.write("dom0/qubes.json", qubesText); err != nil {
		return err
	}
	if err := w.start("dom0", w.env("vault"), w.qrexec, "dom0", "--dir", w.path("dom0/qrexec"),
		"--policy", w.path("dom0/policy"), "--qubes", w.path("dom0/qubes.json")); err != nil {
		return err
	}
	if err := w.ready(ctx, "dom0"); err != nil {
		return err
	}
	for _, qube := range []string{"vault", "work"} {
		control := w.path("dom0/qrexec", qube, "control")
		socket := w.path(qube, "run/qrexec")
		env := w.env(qube, "SSH_AUTH_SOCK="+w.path(qube, "run/agent"), "GNUPGHOME="+w.path(qube, "gnupg"))
		argv := []string{
			w.qrexec, "agent", "--name", qube, "--control", control, "--socket", socket,
			"--service-path", w.path(qube, "rpc"), "--rpc-config", w.path(qube, "rpc-config"), "--session", "gui",
		}
		for _, pair := range env {
			argv = append(argv, "--env", pair)
		}
		if err := w.start("qrexec-"+qube, env, argv...); err != nil {
			return err
		}
		if err := w.ready(ctx, "qrexec-"+qube); err != nil {
			return err
		}
	}
	return os.Symlink(w.qrexec, w.path("work/bin/qrexec-client-vm"))
}

// work is the client qube: the sockets that ssh and git, and qpass, know, behind which
// systemd starts one relay for each connection.
func (w *world) work(ctx context.Context) error {
	if err := w.listen(ctx, "ssh-relay", w.agentSocket(), w.relay); err != nil {
		return err
	}
	return w.listen(ctx, "pass-relay", w.path("work/run/splitvault/S.pass"), w.passRelay)
}

func (w *world) listen(ctx context.Context, name, socket, relay string) error {
	env := w.env("work")
	argv := []string{w.activate, "--accept", "--listen=" + socket}
	for _, pair := range append(env,
		"SPLITVAULT_QREXEC_CLIENT="+w.path("work/bin/qrexec-client-vm"),
		"QREXEC_BENCH_AGENT_SOCKET="+w.path("work/run/qrexec")) {
		argv = append(argv, "-E", pair)
	}
	if err := w.start(name, env, append(argv, relay)...); err != nil {
		return err
	}
	return w.exists(ctx, socket)
}

func (w *world) agentSocket() string { return w.path("work/run/ssh/S.ssh-agent") }

// until waits for ready to return nil, at most ten seconds.
func (w *world) until(ctx context.Context, what string, ready func() error) error {
	for until := time.Now().Add(10 * time.Second); ; {
		err := ready()
		if err == nil {
			return nil
		}
		if time.Now().After(until) {
			return fmt.Errorf("waiting for %s: %w", what, err)
		}
		for _, p := range w.processes {
			select {
			case <-p.ended:
				return fmt.Errorf("waiting for %s: %s ended: %w", what, p.cmd.Path, errors.Join(p.err, err))
			default:
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// exists waits until a unix socket is bound. It is not tried with a connection,
// which would be a call, a relay or an agent for nothing.
func (w *world) exists(ctx context.Context, socket string) error {
	return w.until(ctx, socket, func() error {
		_, err := os.Stat(socket)
		return err
	})
}

// ready waits for the line that a part of the emulator prints when it serves.
func (w *world) ready(ctx context.Context, part string) error { return w.says(ctx, part, "ready\n") }

func (w *world) says(ctx context.Context, part, words string) error {
	return w.until(ctx, part, func() error {
		text, err := os.ReadFile(w.path("log", part))
		if err == nil && !strings.Contains(string(text), words) {
			err = errors.New("it has not said that it is ready")
		}
		return err
	})
}

// server is the machine to log in to: a real sshd for this one user.
func (w *world) server(ctx context.Context) error {
	// Until sshd takes the number another program may; then sshd ends, and
	// the demo says so.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("finding a free port for the demo's sshd: %w", err)
	}
	w.port = l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		return err
	}
	hostKey := w.path("server/host_key")
	if err := w.do(ctx, w.env("work"), w.sshKeygen, "-q", "-t", "ed25519", "-N", "", "-C", "demo server", "-f", hostKey); err != nil {
		return err
	}
	public, err := os.ReadFile(hostKey + ".pub")
	if err != nil {
		return err
	}
	key, err := w.publicKey()
	if err != nil {
		return err
	}
	port := strconv.Itoa(w.port)
	for name, text := range map[string]string{
		"server/authorized_keys": key,
		"server/sshd_config":     strings.NewReplacer("@DIR@", w.path("server"), "@PORT@", port, "@PAM@", w.pam()).Replace(sshdConfig),
		"work/known_hosts":       "[127.0.0.1]:" + port + " " + string(public),
		"work/ssh_config":        strings.NewReplacer("@DIR@", w.path("work"), "@PORT@", port).Replace(sshConfig),
	} {
		if err := w.write(name, text); err != nil {
			return err
		}
	}
	if err := w.privsep(); err != nil {
		return err
	}
	if err := w.start("sshd", w.env("work"), w.sshd, "-D", "-e", "-f", w.path("server/sshd_config")); err != nil {
		return err
	}
	return w.until(ctx, "sshd", func() error {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

// publicKey is the vault's public key as one line of authorized_keys.
func (w *world) publicKey() (string, error) {
	key, err := os.ReadFile(w.path("vault/home/key.pub"))
	if err != nil {
		return "", fmt.Errorf("reading the demo's public key: %w", err)
	}
	return string(key), nil
}
