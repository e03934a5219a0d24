package doctor

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"

	"github.com/splitvault/splitvault/pkg/rules"
)

const passGuard = "/usr/lib/splitvault/pass-guard" //nolint:gosec // the path of a program

// passServices are the names that qrexec must know.
var passServices = [...]string{"ListPasswords", "GetPassword", "GetField", "FindLogin", "InsertPassword", "GeneratePassword"}

// passRules are the rules of a file that gives something of a password store.
func (d *diagnosis) passRules() *rules.Pass {
	file, err := d.env.PassRules()
	if err != nil || !slices.ContainsFunc(file.Pass.Rules, func(r rules.PassRule) bool { return *r.Decision != rules.Deny }) {
		return nil
	}
	return &file.Pass
}

// passHandler finds out which programs qrexec starts for the services of pass.
func (d *diagnosis) passHandler(context.Context) (Result, bool) {
	if d.passRules() == nil {
		return Result{}, true
	}
	if info, err := d.env.Lstat(passGuard); err != nil || info.Mode()&0o111 == 0 {
		return problem("pass-handler", passGuard+" is missing or not executable",
			Step{Where: "template", Do: "install splitvault (again), then shut the template down"}, d.restart()), true
	}
	for _, name := range passServices {
		found := false
		for _, dir := range serviceDirs {
			path := dir + "pass." + name
			if !d.exists(path) {
				continue
			}
			if to, err := d.env.Readlink(path); err != nil || to != passGuard {
				return problem("pass-handler", path+" is not splitvault's: another program answers, without its rules",
					Step{Where: place(d, dir), Do: "sudo rm " + path + "   (after a look at it; in a template, install splitvault again then)"}, d.restart()), true
			}
			found = true
			break
		}
		if !found {
			return problem("pass-handler", "no /etc/qubes-rpc/pass."+name+": clients get exit code 127",
				Step{Where: "template", Do: "install splitvault, then shut the template down"}, d.restart()), true
		}
	}
	return ok("pass-handler", "pass-guard answers pass.*"), true
}

// unusedStore tells whoever comes here from a client that lists nothing.
func (d *diagnosis) unusedStore() Result {
	var pass rules.Pass
	switch file, err := d.env.PassRules(); {
	case err == nil:
		pass = file.Pass
	case !errors.Is(err, rules.ErrNoFile):
		return Result{} // told by the check of the rules
	}
	store := pass.StorePath(d.env.Getenv)
	if !d.exists(store) {
		return Result{}
	}
	return ok("pass-store", "%s is there, and no rule gives anything of it to a qube", store)
}

// passStore looks whether there is what the rules speak of.
func (d *diagnosis) passStore(context.Context) (Result, bool) {
	pass := d.passRules()
	if pass == nil {
		return d.unusedStore(), true
	}
	store := pass.StorePath(d.env.Getenv)
	switch info, err := d.env.Lstat(store); {
	case err != nil:
		return problem("pass-store", "there is no password store "+store+", of which the rules speak", d.here("pass init YOUR-KEY")), true
	case !info.IsDir() && info.Mode()&os.ModeSymlink == 0:
		return problem("pass-store", store+" is no directory", d.here("look at it; the rules' [pass] store names it")), true
	case !d.exists("/usr/bin/gpg"):
		return problem("pass-store", "gpg is missing: nothing can be decrypted",
			Step{Where: "template", Do: "sudo apt install gnupg   (Fedora: gnupg2)"}, d.restart()), true
	case !d.exists(filepath.Join(store, ".gpg-id")):
		return warning("pass-store", store+" has no .gpg-id: nothing can be written", d.here("pass init YOUR-KEY")), true
	}
	return ok("pass-store", "the password store is %s", store), true
}
