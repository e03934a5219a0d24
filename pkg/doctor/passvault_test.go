package doctor

import (
	"testing"
)

// passVault is a vault with a password store, in which all is well.
func passVault(t *testing.T) *fake {
	t.Helper()
	f := healthyVault(t)
	f.rules += "[[pass.rule]]\nqube = \"work\"\ndecision = \"allow\"\n"
	return f
}

func TestAVaultWithPassIsWell(t *testing.T) {
	report := Run(t.Context(), passVault(t), Options{})
	if report.Exit() != 0 {
		t.Fatalf("%+v", report)
	}
	saysAll(t, find(t, report, "pass-handler"), "pass-guard answers")
	saysAll(t, find(t, report, "pass-store"), "/home/user/.password-store")
}

// TestAStoreThatNoRuleNamesIsTold, as the owner may come from a client that lists
// nothing; but a vault without store and rules hears nothing of pass.
func TestAStoreThatNoRuleNamesIsTold(t *testing.T) {
	f := healthyVault(t)
	saysAll(t, find(t, Run(t.Context(), f, Options{}), "pass-store"), "/home/user/.password-store is there, and no rule")
	f.rules = ""
	saysAll(t, find(t, Run(t.Context(), f, Options{Vault: true}), "pass-store"), "no rule gives anything")
	delete(f.files, "/home/user/.password-store")
	for _, r := range Run(t.Context(), f, Options{Vault: true}).Checks {
		if r.Check == "pass-handler" || r.Check == "pass-store" {
			t.Errorf("a vault without pass hears of it: %+v", r)
		}
	}
}

func TestPassFailuresInTheVault(t *testing.T) {
	for _, row := range []failure{
		{"a service file is missing", func(f *fake) { delete(f.files, "/etc/qubes-rpc/pass.GetField") }, "pass-handler", Problem, []string{"pass.GetField", "127"}},
		{
			"the old script", func(f *fake) { f.files["/usr/local/etc/qubes-rpc/pass.GetPassword"] = file{mode: 0o755} },
			"pass-handler", Problem,
			[]string{"[vault] sudo rm /usr/local/etc/qubes-rpc/pass.GetPassword"},
		},
		{"guard missing", func(f *fake) { delete(f.files, passGuard) }, "pass-handler", Problem, []string{"[template] install splitvault"}},
		{"no store", func(f *fake) { delete(f.files, "/home/user/.password-store") }, "pass-store", Problem, []string{"[vault] pass init"}},
		{"a file for a store", func(f *fake) { f.files["/home/user/.password-store"] = file{mode: 0o600} }, "pass-store", Problem, []string{"no directory"}},
		{"no gpg", func(f *fake) { delete(f.files, "/usr/bin/gpg") }, "pass-store", Problem, []string{"[template] sudo apt install gnupg"}},
		{"no recipients", func(f *fake) { delete(f.files, "/home/user/.password-store/.gpg-id") }, "pass-store", Warning, []string{"[vault] pass init"}},
	} {
		t.Run(row.name, func(t *testing.T) { row.found(t, passVault(t), Options{}) })
	}
}
