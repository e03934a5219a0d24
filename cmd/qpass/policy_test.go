package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/splitvault/splitvault/pkg/dom0policy"
	"github.com/splitvault/splitvault/test/qubes/policy"
)

// The lines that qpass prints for a verb, read as dom0 reads them, allow the very calls
// that qpass makes for it, from that qube, and no other's.
func TestPrintedLinesAllowTheCallsThatAreMade(t *testing.T) {
	t.Parallel()
	const entry, host = "work/a b@c", "c.example"
	uses := map[string]struct {
		entry, input string
		use          []string
	}{
		"list":     {"work/", "", []string{"ls", "--flat", "work"}},
		"find":     {host, "", []string{"find", host}},
		"field":    {entry, "", []string{"field", entry, "password"}},
		"otp":      {entry, "", []string{"otp", entry}},
		"show":     {entry, "", []string{"show", entry}},
		"insert":   {entry + "2", "x", []string{"insert", entry + "2"}},
		"generate": {entry + "3", "", []string{"generate", entry + "3", "-n"}},
	}
	// Each verb's call, as it is made.
	calls := map[string]string{}
	for verb, u := range uses {
		w := direct(t, map[string]string{entry: "pw\nlogin: bob\nurl: https://" + host + "\notpauth://totp/x?secret=JBSWY3DPEHPK3PXP\n"})
		w.run(u.input, append([]string{"qpass"}, u.use...)...)
		made := w.vault.Calls(t)
		if len(made) != 1 {
			t.Fatalf("%s: called %q", verb, made)
		}
		calls[verb], _, _ = strings.Cut(made[0], " ")
	}
	if len(calls) != len(dom0policy.Verbs) {
		t.Fatalf("%d verbs are tried, of %q", len(calls), dom0policy.Verbs)
	}
	own, err := os.ReadFile("../../dom0/policy.d/80-splitvault.policy")
	if err != nil {
		t.Fatal(err)
	}
	qubes := policy.System{Qubes: map[string]policy.Qube{}}
	for _, name := range []string{"dom0", "work", "vault", "other"} {
		qubes.Qubes[name] = policy.Qube{Name: name, Type: "AppVM", GuiVM: "dom0"}
	}
	for verb, u := range uses {
		for action, flags := range map[policy.Action][]string{policy.Allow: {"--allow"}, policy.Ask: nil} {
			w := direct(t, nil)
			w.env = append(w.env, "QUBES_PASS_DOMAIN=vault")
			args := append([]string{"qpass", "policy", "--verb", verb, "--field", "password"}, flags...)
			printed := w.run("", append(args, "work", u.entry)...)
			dir := t.TempDir()
			for file, text := range map[string]string{dom0policy.File: printed.stdout, "80-splitvault": string(own)} {
				if err := os.WriteFile(filepath.Join(dir, file+".policy"), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			loaded, err := policy.Load(dir)
			if err != nil {
				t.Fatalf("%s: %v\n%s", verb, err, printed.stdout)
			}
			for called, call := range calls {
				for _, source := range []string{"work", "other"} {
					want := policy.Deny
					if called == verb && source == "work" {
						want = action
					}
					service, argument, _ := strings.Cut(call, "+")
					got := loaded.Evaluate(qubes, policy.Request{Source: source, Target: "@default", Service: service, Argument: "+" + argument})
					if got.Action != want {
						t.Errorf("%s calls %s: %v, want %v; the lines are\n%s", source, call, got.Action, want, printed.stdout)
					}
				}
			}
		}
	}
}
