package doctor

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/splitvault/splitvault/pkg/qrexec"
	"github.com/splitvault/splitvault/pkg/rundir"
)

func (d *diagnosis) runtime() string    { return rundir.Base(d.env.Getenv) }
func (d *diagnosis) socketPath() string { return filepath.Join(d.runtime(), "ssh", "S.ssh-agent") }

// service finds out whether the agent socket is meant to be here.
func (d *diagnosis) service(ctx context.Context) (Result, bool) {
	switch {
	case d.exists(vaultFile):
		return problem("service", "this qube is marked as a vault (splitvault-vault), which keeps splitvault-ssh off",
			dom0("qvm-service %s splitvault-vault off", d.self()), d.restart()), false
	case d.switchedOn():
		return ok("service", "splitvault-ssh is switched on"), true
	case d.dom0Says(ctx, "splitvault-ssh"):
		return problem("service", "splitvault-ssh was switched on after this qube started", d.restart()), false
	default:
		return problem("service", "splitvault-ssh is switched off for this qube",
			dom0("qvm-service %s splitvault-ssh on", d.self()), d.restart()), false
	}
}

func (d *diagnosis) restart() Step {
	return dom0("qvm-shutdown --wait %s && qvm-start %[1]s", d.self())
}

func (d *diagnosis) programs(context.Context) (Result, bool) {
	for _, path := range []string{"/usr/lib/splitvault/ssh-relay", qrexec.DefaultClient} {
		if info, err := d.env.Lstat(path); err != nil || info.Mode()&0o111 == 0 {
			if path == qrexec.DefaultClient && d.env.Getenv("SPLITVAULT_QREXEC_CLIENT") != "" {
				continue
			}
			return problem("programs", path+" is missing or not executable",
				Step{Where: "template", Do: "install splitvault and qubes-core-qrexec (again), then shut the template down"}, d.restart()), false
		}
	}
	return Result{}, true
}

// unit asks the user's systemd about the agent's socket.
func (d *diagnosis) unit(ctx context.Context) (Result, bool) {
	return d.socket(ctx, "socket", socketUnit, d.socketPath())
}

// socket asks the user's systemd about a socket unit, which listens at path.
func (d *diagnosis) socket(ctx context.Context, check, name, path string) (Result, bool) {
	out, err := d.run(ctx, "systemctl", "--user", "show", "-p", "LoadState,ActiveState,Result,ConditionResult,NRefused", name)
	if err != nil || out.Exit != 0 {
		return unknown(check, "the user's systemd does not answer", d.here("systemctl --user status")), false
	}
	unit := pairs(out.Stdout)
	again := d.here("systemctl --user restart %s", name)
	switch {
	case unit["LoadState"] == "masked":
		return problem(check, name+" is masked",
			d.here("systemctl --user unmask %s; systemctl --user start %[1]s   (or remove the link to /dev/null in /etc/systemd/user)", name)), false
	case unit["LoadState"] != "loaded":
		return problem(check, fmt.Sprintf("systemd has no %s (%q)", name, unit["LoadState"]),
			Step{Where: "template", Do: "install splitvault (again), then shut the template down"}, d.restart()), false
	case unit["ActiveState"] == "failed":
		return problem(check, fmt.Sprintf("%s failed: %q", name, unit["Result"]),
			d.here("systemctl --user reset-failed %s; systemctl --user restart %[1]s", name),
			d.here("journalctl --user -u %s   (if it fails again)", name)), false
	case unit["ActiveState"] != "active" && unit["ConditionResult"] == "no":
		return problem(check, name+" was not started: its conditions did not hold when the session began", again), false
	case unit["ActiveState"] != "active":
		return problem(check, fmt.Sprintf("%s is not active (%q)", name, unit["ActiveState"]), again), false
	case unit["NRefused"] != "" && unit["NRefused"] != "0":
		return warning(check, fmt.Sprintf("%s has turned away %.20q connections in this session: too many were open at once (512, if no drop-in says less)", name, unit["NRefused"]),
			d.here("ss -xtp | grep %s   (shows who holds them)", filepath.Base(path))), true
	}
	return ok(check, "%s listens", name), true
}

// node looks at the agent's socket in the file system.
func (d *diagnosis) node(context.Context) (Result, bool) {
	return d.socketNode("node", socketUnit, d.socketPath())
}

func (d *diagnosis) socketNode(check, name, path string) (Result, bool) {
	again := d.here("systemctl --user restart %s", name)
	info, err := d.env.Lstat(path)
	switch {
	case err != nil:
		return problem(check, path+" is gone, though the unit is active: something removed it", again), false
	case info.Mode()&fs.ModeSocket == 0:
		return problem(check, path+" is not a socket: something replaced it", d.here("rm %s", path), again), false
	case info.Mode().Perm() != 0o600:
		return problem(check, fmt.Sprintf("%s has mode %04o instead of 0600: a drop-in changed SocketMode=", path, info.Mode().Perm()),
			d.here("systemctl --user cat %s", name), again), true
	}
	return Result{}, true
}

// target compares dom0's wish with what the relays were told.
func (d *diagnosis) target(ctx context.Context) (Result, bool) {
	want, found := d.qubesDB(ctx, "/vm-config/splitvault-ssh-domain")
	if !found {
		return Result{}, true
	}
	if _, err := qrexec.ParseQubeName(want); err != nil {
		return problem("target", fmt.Sprintf("vm-config.splitvault-ssh-domain is no name of a qube: %.40q", want),
			dom0("qvm-features %s vm-config.splitvault-ssh-domain VAULT", d.self())), true
	}
	file, err := d.env.ReadFile(filepath.Join(d.runtime(), "splitvault", "env"))
	if err == nil && pairs(string(file))["QUBES_SSH_DOMAIN"] == want {
		return ok("target", "dom0 names %s as the vault", want), true
	}
	return problem("target", fmt.Sprintf("dom0 names %s as the vault, the relays have not been told yet", want),
		d.here("systemctl --user restart %s", socketUnit)), true
}

// otherSplitSSH knows the official split-ssh by its files.
func (d *diagnosis) otherSplitSSH(context.Context) (Result, bool) {
	for _, path := range []string{"/rw/config/split-ssh-default-agent", "/rw/config/split-ssh-vault"} {
		if d.exists(path) {
			return warning("split-ssh", path+" sets up Qubes' own split-ssh here, too: the program that sets SSH_AUTH_SOCK last wins",
				d.here("sudo rm %s   (to use splitvault alone)", path)), true
		}
	}
	return Result{}, true
}

// pairs reads KEY=VALUE lines, as systemctl show and environment files have them.
func pairs(text string) map[string]string {
	all := make(map[string]string)
	for line := range strings.Lines(text) {
		if key, value, found := strings.Cut(strings.TrimSuffix(line, "\n"), "="); found {
			all[key] = value
		}
	}
	return all
}
