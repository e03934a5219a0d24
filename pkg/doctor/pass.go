package doctor

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/splitvault/splitvault/pkg/passcode"
	"github.com/splitvault/splitvault/pkg/qrexec"
)

// Of split pass, see splitvault-pass(8).
const (
	passName    = "splitvault-pass"
	passUnit    = passName + ".socket"
	passRelay   = "/usr/lib/splitvault/pass-relay" //nolint:gosec // a program, no password
	listService = qrexec.Service("pass.ListPasswords")
)

func (d *diagnosis) passPath() string { return filepath.Join(d.runtime(), "splitvault", "S.pass") }

// passOn tells whether this qube is meant to use the passwords of a vault.
func (d *diagnosis) passOn(ctx context.Context) bool {
	return !d.exists(vaultFile) && (d.passSwitched() || d.dom0Says(ctx, passName))
}

func (d *diagnosis) passSwitched() bool {
	return d.exists("/run/qubes-service/"+passName) || d.exists("/etc/systemd/user/sockets.target.wants/"+passUnit) || d.exists("/etc/splitvault/enable/"+passName)
}

func (d *diagnosis) passService(context.Context) (Result, bool) {
	if !d.passSwitched() {
		return problem("pass", passName+" was switched on after this qube started", d.restart()), false
	}
	return ok("pass", passName+" is switched on"), true
}

func (d *diagnosis) passPrograms(context.Context) (Result, bool) {
	for _, path := range []string{passRelay, "/usr/bin/qpass"} {
		if info, err := d.env.Lstat(path); err != nil || info.Mode()&0o111 == 0 {
			return problem("pass-programs", path+" is missing or not executable",
				Step{Where: "template", Do: "install splitvault (again), then shut the template down"}, d.restart()), false
		}
	}
	return Result{}, true
}

func (d *diagnosis) passSocket(ctx context.Context) (Result, bool) {
	return d.socket(ctx, "pass-socket", passUnit, d.passPath())
}

func (d *diagnosis) passNode(context.Context) (Result, bool) {
	return d.socketNode("pass-node", passUnit, d.passPath())
}

// passTarget compares dom0's wish with what the relays were told, and warns of a
// variable by which qpass goes its own way.
func (d *diagnosis) passTarget(ctx context.Context) (Result, bool) {
	if own := d.env.Getenv("QUBES_PASS_DOMAIN"); own != "" {
		return warning("pass-target", fmt.Sprintf("QUBES_PASS_DOMAIN is set here (%.40q): qpass calls that qube itself, and not over the socket", own),
			d.here("unset QUBES_PASS_DOMAIN   (and remove it from ~/.bashrc or ~/.profile, to let dom0 choose)")), true
	}
	want, found := d.qubesDB(ctx, "/vm-config/splitvault-pass-domain")
	if !found {
		return Result{}, true
	}
	if _, err := qrexec.ParseQubeName(want); err != nil {
		return problem("pass-target", fmt.Sprintf("vm-config.splitvault-pass-domain is no name of a qube: %.40q", want),
			dom0("qvm-features %s vm-config.splitvault-pass-domain VAULT", d.self())), true
	}
	file, err := d.env.ReadFile(filepath.Join(d.runtime(), "splitvault", "env"))
	if err == nil && pairs(string(file))["QUBES_PASS_DOMAIN"] == want {
		return ok("pass-target", "dom0 names %s as the vault of passwords", want), true
	}
	return problem("pass-target", fmt.Sprintf("dom0 names %s as the vault of passwords, the relays have not been told yet", want),
		d.here("systemctl --user restart %s", passUnit)), true
}

// passScreen looks whether qpass type and qpassmenu find the programs they need.
func (d *diagnosis) passScreen(context.Context) (Result, bool) {
	var missing []string
	typist, menus := "", []string{"dmenu", "rofi", "fzf"}
	if d.env.Getenv("WAYLAND_DISPLAY") != "" {
		typist, menus = "wtype", []string{"fuzzel", "rofi", "fzf"}
	}
	there := func(program string) bool { return d.exists("/usr/bin/"+program) || d.exists("/usr/local/bin/"+program) }
	if typist != "" && !there(typist) {
		missing = append(missing, typist+" (for qpass type)")
	}
	if !there(menus[0]) && !there(menus[1]) && !there(menus[2]) {
		missing = append(missing, fmt.Sprintf("%s, %s or %s (for qpassmenu)", menus[0], menus[1], menus[2]))
	}
	if len(missing) == 0 {
		return Result{}, true
	}
	text := missing[0]
	if len(missing) == 2 {
		text += ", and " + missing[1]
	}
	return warning("pass-tools", "not installed: "+text,
		Step{Where: "template", Do: "install it, if you want that (dmenu is in suckless-tools, or dmenu)"}), true
}

// passCall asks for the list of names, which ls, the menu and completion need. A
// qube that may have single entries only is refused that, and is well.
func (d *diagnosis) passCall(ctx context.Context) (Result, bool) {
	unit := d.unitEnvironment(ctx)
	client := unit["SPLITVAULT_QREXEC_CLIENT"]
	if client == "" {
		client = qrexec.DefaultClient
	}
	untrusted := d.env.Getenv("QUBES_PASS_DOMAIN")
	if file, err := d.env.ReadFile(filepath.Join(d.runtime(), "splitvault", "env")); untrusted == "" && err == nil {
		untrusted = pairs(string(file))["QUBES_PASS_DOMAIN"]
	}
	target, err := qrexec.ParseTarget(untrusted)
	if err != nil {
		return problem("pass-call", fmt.Sprintf("QUBES_PASS_DOMAIN is no name of a qube: %v", err),
			d.here("unset QUBES_PASS_DOMAIN   (and remove it from ~/.bashrc or ~/.profile, to let dom0 choose)")), false
	}
	ctx, cancel := context.WithTimeout(ctx, d.opts.Wait)
	defer cancel()
	entries, outcome := d.env.Call(ctx, client, target, listService)
	explain := Step{Where: "vault", Do: fmt.Sprintf("splitvault explain %s pass   (what it may have)", d.self())}
	switch code := outcome.Code; {
	case errors.Is(outcome.Err, context.DeadlineExceeded):
		return d.noAnswer("pass-call"), true
	case outcome.Err != nil, outcome.Signal != 0, outcome.Stopped:
	case code == int(passcode.OK) && entries > 0:
		return ok("pass-call", "the vault answers; entries for this qube: %d", entries), true
	case code == int(passcode.OK):
		return warning("pass-call", "the vault answers, but lists nothing for this qube: no rule has it list an entry, or there is no store",
			explain, Step{Where: "vault", Do: "splitvault doctor --vault   (whether there is a store)"}), true
	case code == int(passcode.Refused):
		return warning("pass-call", "the vault's rules ask before they list anything, and the answer was no, or nobody could be asked",
			explain, Step{Where: "vault", Do: "splitvault doctor --vault"}), true
	case outcome.Cause() == "refused":
		return warning("pass-call", "dom0 refused the list of names; single entries may be allowed all the same",
			d.here("qpass policy %s ENTRY   (prints the lines for an entry)", d.self()),
			dom0("%s   (and write, for the list: %s * %s @anyvm ask target=VAULT default_target=VAULT)", policyCommand, listService, d.self())), true
	}
	return problem("pass-call", "the call failed: "+outcome.Explain(d.name, target, listService)), true
}
