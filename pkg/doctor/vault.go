package doctor

import (
	"context"
	"fmt"
	"strings"

	"github.com/splitvault/splitvault/pkg/journal"
)

const (
	rpcService = "qubes.Ssh"
	guard      = "/usr/lib/splitvault/ssh-guard"
)

// Directories of qrexec, the first that has the service's name wins
// (qubes-core-qrexec, libqrexec/qrexec.h).
var (
	serviceDirs = [...]string{"/run/qubes-rpc/", "/usr/local/etc/qubes-rpc/", "/etc/qubes-rpc/"}
	configDirs  = [...]string{"/run/qubes/rpc-config/", "/usr/local/etc/qubes/rpc-config/", "/etc/qubes/rpc-config/"}
)

// contradiction: a switch in the template is meant to spare vaults, one for this
// very qube is a mistake.
func (d *diagnosis) contradiction(context.Context) (Result, bool) {
	for _, name := range []string{"splitvault-ssh", clefName, passName} {
		if d.exists(vaultFile) && d.exists("/run/qubes-service/"+name) {
			return warning("service", "both splitvault-vault and "+name+" are on; as a vault, this qube gets no socket of its own",
				dom0("qvm-service %s %s off   (or splitvault-vault, whichever is wrong)", d.self(), name)), true
		}
	}
	return Result{}, true
}

// handler finds out which program qrexec starts for qubes.Ssh.
func (d *diagnosis) handler(context.Context) (Result, bool) {
	for _, dir := range serviceDirs {
		path := dir + rpcService
		if !d.exists(path) {
			continue
		}
		if to, err := d.env.Readlink(path); err != nil || to != guard {
			return problem("handler", path+" is not splitvault's: another program answers qubes.Ssh, without its rules",
				Step{Where: place(d, dir), Do: "sudo rm " + path + "   (after a look at it; in a template, install splitvault again then)"}, d.restart()), false
		}
		if info, err := d.env.Lstat(guard); err != nil || info.Mode()&0o111 == 0 {
			return problem("handler", guard+" is missing or not executable",
				Step{Where: "template", Do: "install splitvault (again), then shut the template down"}, d.restart()), false
		}
		return ok("handler", "ssh-guard answers qubes.Ssh"), true
	}
	return problem("handler", "no /etc/qubes-rpc/qubes.Ssh: clients get exit code 127",
		Step{Where: "template", Do: "install splitvault, then shut the template down"}, d.restart()), false
}

// place says where a file of qrexec's directories is to be changed: /etc comes
// anew from the template at each start.
func place(d *diagnosis, dir string) string {
	if strings.HasPrefix(dir, "/etc/") {
		return "template"
	}
	return d.self()
}

// rpcConfig knows the one setting of qrexec that makes calls hang.
func (d *diagnosis) rpcConfig(context.Context) (Result, bool) {
	services := []string{rpcService, clefSignRPC}
	for _, name := range passServices {
		services = append(services, "pass."+name)
	}
	for _, service := range services {
		if dir := d.waitsIn(service); dir != "" {
			return warning("rpc-config", dir+service+" has wait-for-session: without a graphical session here every call hangs for ever",
				Step{Where: place(d, dir), Do: "remove that line"}), true
		}
	}
	return Result{}, true
}

// waitsIn is the directory whose file has a service wait for the session, "" for none.
// The first file that is there counts.
func (d *diagnosis) waitsIn(service string) string {
	for _, dir := range configDirs {
		text, err := d.env.ReadFile(dir + service)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			key, value, _ := strings.Cut(line, "=")
			if value = strings.TrimSpace(value); strings.TrimSpace(key) == "wait-for-session" && value != "0" && value != "false" {
				return dir
			}
		}
		break
	}
	return ""
}

// silence makes sure that the shell which qrexec starts services with in a
// qube without session says nothing: its words would come before the guard's.
func (d *diagnosis) silence(ctx context.Context) (Result, bool) {
	out, err := d.run(ctx, "/bin/sh", "-lc", ":")
	switch {
	case err != nil:
		return problem("profile", "a login shell does not end here: calls without a graphical session hang",
			d.here("sh -lxc :   (shows where; look at ~/.profile and /etc/profile.d)")), true
	case out.Stdout != "":
		return problem("profile", "a profile file prints text, which clients get in place of an answer: "+journal.Quote(out.Stdout),
			d.here("sh -lc : | head   (find the line in ~/.profile or /etc/profile.d, and send it to standard error: >&2)")), true
	}
	return Result{}, true
}

// hosts reads the known hosts, by which a destination is believed.
func (d *diagnosis) hosts(context.Context) (Result, bool) {
	if d.file == nil {
		return Result{}, true
	}
	known, err := d.env.KnownHosts(d.file.SSH.ShippedKnownHosts)
	if err != nil {
		return problem("hosts", fmt.Sprintf("no destination is believed, and rules with hosts never match: %v", err),
			d.here("correct that file, or its permissions")), true
	}
	if missing := d.file.UnknownHosts(known.Has); len(missing) > 0 {
		var lines []string
		for _, p := range missing {
			lines = append(lines, p.Error())
		}
		return warning("hosts", "hosts that rules name, and that this qube does not know:\n"+strings.Join(lines, "\n"),
			d.here("write that host's line to ~/.ssh/known_hosts   (from a qube that has been there; compare the fingerprint)")), true
	}
	if count, first := known.Bad(); count > 0 {
		return warning("hosts", fmt.Sprintf("lines of known_hosts that cannot be read, and are passed over: %d, the first is %s", count, first),
			d.here("correct or remove them")), true
	}
	return Result{}, true
}

// network: a vault's strength is that nothing can call out.
func (d *diagnosis) network(ctx context.Context) (Result, bool) {
	if gateway, found := d.qubesDB(ctx, "/qubes-gateway"); found && gateway != "" {
		return warning("network", "this qube has a network; a vault should have none", dom0("qvm-prefs %s netvm ''", d.self())), true
	}
	return Result{}, true
}
