package doctor

import (
	"context"
	"path/filepath"
	"slices"
	"strings"

	"github.com/splitvault/splitvault/pkg/rules"
)

const (
	clefSignRPC = "qubes.Clefsign"
	clefGuard   = "/usr/lib/splitvault/clef-guard"
	clefBackend = "splitvault-clef-backend.service"
)

// clefHere tells whether this vault is meant to have a Clef: it is installed, was
// used, or the rules speak of it.
func (d *diagnosis) clefHere() bool {
	return d.clefProgram() != "" || d.exists(filepath.Join(d.env.Getenv("HOME"), ".clef")) || d.clefRules() != nil
}

// clefRules are the rules of a file that speaks of Clef.
func (d *diagnosis) clefRules() *rules.Clef {
	file, err := d.env.ClefRules()
	if err != nil || !slices.ContainsFunc(file.Clef.Rules, func(r rules.ClefRule) bool { return *r.Decision != rules.Deny }) {
		return nil
	}
	return &file.Clef
}

// clefProgram is where the unit finds Clef, "" if it does not.
func (d *diagnosis) clefProgram() string {
	home := d.env.Getenv("HOME")
	for _, dir := range []string{"/usr/local/bin", "/usr/bin", home + "/go/bin", home + "/.local/bin"} {
		if info, err := d.env.Lstat(dir + "/clef"); err == nil && info.Mode()&0o111 != 0 {
			return dir + "/clef"
		}
	}
	return ""
}

// clefHandler finds out which program qrexec starts for qubes.Clefsign.
func (d *diagnosis) clefHandler(context.Context) (Result, bool) {
	if !d.clefHere() {
		return Result{}, true
	}
	for _, dir := range serviceDirs {
		path := dir + clefSignRPC
		if !d.exists(path) {
			continue
		}
		if to, err := d.env.Readlink(path); err != nil || to != clefGuard {
			return problem("clef-handler", path+" is not splitvault's: another program answers "+clefSignRPC+", without its rules",
				Step{Where: place(d, dir), Do: "sudo rm " + path + "   (after a look at it; in a template, install splitvault again then)"}, d.restart()), true
		}
		if info, err := d.env.Lstat(clefGuard); err != nil || info.Mode()&0o111 == 0 {
			return problem("clef-handler", clefGuard+" is missing or not executable",
				Step{Where: "template", Do: "install splitvault (again), then shut the template down"}, d.restart()), true
		}
		return ok("clef-handler", "clef-guard answers %s", clefSignRPC), true
	}
	return problem("clef-handler", "no /etc/qubes-rpc/"+clefSignRPC+": clients get exit code 127",
		Step{Where: "template", Do: "install splitvault, then shut the template down"}, d.restart()), true
}

// clefSigner looks whether a request would find Clef, without starting it.
func (d *diagnosis) clefSigner(ctx context.Context) (Result, bool) {
	if !d.clefHere() {
		return Result{}, true
	}
	if d.clefSwitched() && !d.exists(vaultFile) {
		return problem("clef", "this qube is client and vault of Clef: where its Clef should listen, its own relay does",
			dom0("qvm-service %s %s off", d.self(), clefName), d.restart()), true
	}
	state, err := d.run(ctx, "systemctl", "--user", "is-active", clefBackend)
	switch active := err == nil && strings.TrimSpace(state.Stdout) == "active"; {
	case active && d.clefLocked(ctx):
		return warning("clef", "Clef runs, and does not listen yet", d.here("unlock it, in its window")), true
	case active:
		return ok("clef", "Clef runs"), true
	case err == nil && strings.TrimSpace(state.Stdout) == "failed":
		return problem("clef", "Clef was started and failed", d.here("journalctl --user -u %s", clefBackend)), true
	case d.clefProgram() == "" && !d.ownClef():
		return problem("clef", "Clef is not installed; its last release is v1.17.3",
			Step{Where: "a qube with a network", Do: "go install github.com/ethereum/go-ethereum/cmd/clef@v1.17.3, and copy go/bin/clef to the same place here"}), true
	}
	return ok("clef", "Clef is started by the first request"), true
}

// ownClef tells whether the owner starts Clef in a way of their own.
func (d *diagnosis) ownClef() bool {
	return d.exists(filepath.Join(d.env.Getenv("HOME"), ".config/systemd/user", clefBackend+".d")) || d.exists("/etc/systemd/user/"+clefBackend+".d")
}

// clefLocked tells whether nothing listens at the socket of a Clef that runs. Over
// HTTP, which is not tried, that cannot be told.
func (d *diagnosis) clefLocked(ctx context.Context) bool {
	clef := d.clefRules()
	if clef == nil || clef.Backend.Network != "unix" {
		return false
	}
	conn, err := d.env.Dial(ctx, clef.Backend.Expand(d.runtime(), d.env.Getenv("HOME")).Address)
	if err != nil {
		return true
	}
	conn.Close()
	return false
}
