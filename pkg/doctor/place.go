package doctor

import (
	"context"
	"errors"
	"strings"

	"github.com/splitvault/splitvault/pkg/qrexec"
	"github.com/splitvault/splitvault/pkg/rules"
)

// Switches of the client units, see splitvault-ssh(8).
const (
	serviceFile   = "/run/qubes-service/splitvault-ssh"
	vaultFile     = "/run/qubes-service/splitvault-vault"
	globalFile    = "/etc/systemd/user/sockets.target.wants/splitvault-ssh.socket"
	enableFile    = "/etc/splitvault/enable/splitvault-ssh"
	socketUnit    = "splitvault-ssh.socket"
	markerFile    = "/usr/share/qubes/marker-vm"
	templateFile  = "/run/qubes/this-is-templatevm"
	policyCommand = "qubes-policy-editor 30-splitvault"
)

// qube finds out whether and in which qube we are.
func (d *diagnosis) qube(ctx context.Context) (Result, bool) {
	untrusted, _ := d.qubesDB(ctx, "/name")
	if name, err := qrexec.ParseQubeName(untrusted); err == nil {
		d.name = string(name)
	} else if !d.exists(markerFile) {
		return unknown("qube", "this machine is no qube of Qubes OS: there is nothing to examine"), false
	}
	if d.exists(templateFile) {
		d.template = true
		return ok("qube", "%s is a template: splitvault is switched on in the qubes made from it, examine one of those", d.self()), true
	}
	return ok("qube", "this is %s", d.self()), true
}

func (d *diagnosis) user(context.Context) (Result, bool) {
	if d.env.UID() == 0 {
		return unknown("user", "root has no agent socket: it belongs to the user", d.here("splitvault doctor   (as user)")), false
	}
	if dir := d.runtime(); !d.exists(dir + "/systemd/private") {
		return problem("user", "the user's systemd does not run: "+dir+"/systemd/private is missing",
			d.here("log in through the graphical session or `sudo loginctl enable-linger $USER`"),
			d.here("then: systemctl --user status")), false
	}
	return Result{}, true
}

// roles finds out what this qube is meant to be. The mark of a vault outweighs
// the client's switches, as it does in the units.
func (d *diagnosis) roles(ctx context.Context) (client, vault bool) {
	if d.opts.Client || d.opts.Vault {
		return d.opts.Client, d.opts.Vault
	}
	if d.exists(vaultFile) {
		return false, true
	}
	_, err := d.env.Rules()
	client = d.switchedOn() || d.dom0Says(ctx, "splitvault-ssh")
	// A vault needs no rules file; but once it was called it has an audit file.
	vault = !errors.Is(err, rules.ErrNoFile) || d.exists(d.auditPath())
	return client, vault
}

func (d *diagnosis) noRole() Result {
	return unknown("role", "nothing of splitvault is switched on here",
		dom0("qvm-service %s splitvault-ssh on   (if %[1]s shall use keys of a vault; then restart it)", d.self()),
		dom0("qvm-service %s splitvault-pass on   (if it shall use passwords of a vault)", d.self()),
		dom0("qvm-service %s splitvault-clef on   (if it shall use Ethereum accounts of a vault)", d.self()),
		d.here("splitvault doctor --vault   (if %s is the vault, and was not called yet)", d.self()))
}

func (d *diagnosis) switchedOn() bool {
	return d.exists(serviceFile) || d.exists(globalFile) || d.exists(enableFile)
}

// dom0Says tells whether dom0 has a Qubes service on for this qube now; the
// file in /run shows how it was when the qube started.
func (d *diagnosis) dom0Says(ctx context.Context, service string) bool {
	value, found := d.qubesDB(ctx, "/qubes-service/"+service)
	return found && value == "1"
}

// qubesDB reads what dom0 tells this qube.
func (d *diagnosis) qubesDB(ctx context.Context, path string) (value string, found bool) {
	out, err := d.run(ctx, "qubesdb-read", path)
	if err != nil || out.Exit != 0 {
		return "", false
	}
	return strings.TrimSuffix(out.Stdout, "\n"), true
}

func (d *diagnosis) exists(path string) bool {
	_, err := d.env.Lstat(path)
	return err == nil
}
