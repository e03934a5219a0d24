package journey

import (
	"strings"
	"testing"

	"github.com/splitvault/splitvault/test/baseline"
	"github.com/splitvault/splitvault/test/rails/typed"
)

// interop types docs/interop.md, beside a client and a vault in the form of Qubes'
// own split-ssh. Each section ends with a listing of keys, which must show the
// vault's key: by a call of the service that the section is about.
func interop(t *testing.T, s shelf) {
	commands, err := typed.In(string(read(t, source+"/docs/interop.md")))
	if err != nil {
		t.Fatal(err)
	}
	w := newWay(t, s, "trixie", "docs/interop.md", true)
	if err := w.SetService("work", "splitvault-ssh", true); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"work", "vault"} {
		if err := w.restart(name); err != nil {
			t.Fatal(err)
		}
	}
	w.inQube("vault", "ssh-add -q ~/.ssh/id_ed25519")
	w.foreign()
	services := map[string]string{
		"Our client, a vault with Qubes' split-ssh": "qubes.SshAgent+main",
		"Their client, our guard":                   "qubes.SshAgent+main",
		"qusal's name":                              "qusal.SshAgent+main",
		"Two units without any program":             "qubes.Ssh",
	}
	for _, c := range commands {
		before := len(w.calls())
		out := w.do(c)
		if !strings.HasSuffix(c.Text, "ssh-add -L") {
			continue
		}
		if !strings.HasPrefix(out, "ssh-ed25519 ") {
			t.Errorf("%s: %q", c.Section, out)
		}
		if made := w.calls()[before:]; len(made) != 1 || made[0] != services[c.Section] {
			t.Errorf("%s: the calls are %q", c.Section, made)
		}
		delete(services, c.Section)
	}
	for section := range services {
		t.Errorf("nothing was tried of %q", section)
	}
	if _, err := w.qube("work").Root(t.Context(), "systemctl", "stop", "official-ssh@main.service"); err != nil {
		t.Error(err)
	}
}

// foreign starts the other program's sides: the vault's with Debian's own agent.
func (w *way) foreign() {
	w.t.Helper()
	if err := baseline.Vault(w.t.Context(), w.qube("vault"), "/run/user/1000/openssh_agent"); err != nil {
		w.t.Fatal(err)
	}
	if err := baseline.Client(w.t.Context(), w.qube("work")); err != nil {
		w.t.Fatal(err)
	}
}

// calls are the services that were called so far, in order.
func (w *way) calls() []string {
	w.t.Helper()
	seen, err := w.b.Calls()
	if err != nil {
		w.t.Fatal(err)
	}
	var all []string
	for _, c := range seen.Calls {
		service := c.Service
		if argument := strings.TrimPrefix(c.Argument, "+"); argument != "" {
			service += "+" + argument
		}
		all = append(all, service)
	}
	return all
}
