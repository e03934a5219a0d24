package doctor

import (
	"net"
	"testing"
)

const clefActive = "systemctl --user is-active splitvault-clef-backend.service"

// clefVault is a vault with a Clef, in which all is well.
func clefVault(t *testing.T) *fake {
	t.Helper()
	f := healthyVault(t)
	f.files["/usr/local/bin/clef"] = file{mode: 0o755}
	f.files["/etc/qubes-rpc/qubes.Clefsign"] = file{link: clefGuard}
	f.files[clefGuard] = file{mode: 0o755}
	f.rules += "\n[clef]\nbackend = \"unix:~/.clef/clef.ipc\"\n[[clef.rule]]\nqube = \"work\"\nmethods = [\"account_list\"]\ndecision = \"allow\"\n"
	f.runs[clefActive] = Output{Stdout: "inactive\n", Exit: 3}
	return f
}

func TestAVaultWithClefIsWell(t *testing.T) {
	f := clefVault(t)
	report := Run(t.Context(), f, Options{})
	if report.Exit() != 0 {
		t.Fatalf("%+v", report)
	}
	saysAll(t, find(t, report, "clef-handler"), "clef-guard answers")
	saysAll(t, find(t, report, "clef"), "started by the first request")
	f.runs[clefActive] = Output{Stdout: "active\n"}
	f.agents[f.env["HOME"]+"/.clef/clef.ipc"] = func(net.Conn) {}
	saysAll(t, find(t, Run(t.Context(), f, Options{}), "clef"), "Clef runs")
	for _, r := range Run(t.Context(), healthyVault(t), Options{}).Checks {
		if r.Check == "clef" || r.Check == "clef-handler" {
			t.Errorf("a vault without Clef hears of it: %+v", r)
		}
	}
}

func TestClefFailuresInTheVault(t *testing.T) {
	for _, row := range []failure{
		{"no service file", func(f *fake) { delete(f.files, "/etc/qubes-rpc/qubes.Clefsign") }, "clef-handler", Problem, []string{"127", "[template] install splitvault"}},
		{
			"the old script", func(f *fake) { f.files["/usr/local/etc/qubes-rpc/qubes.Clefsign"] = file{mode: 0o755} },
			"clef-handler", Problem,
			[]string{"[vault] sudo rm /usr/local/etc/qubes-rpc/qubes.Clefsign"},
		},
		{"guard missing", func(f *fake) { delete(f.files, clefGuard) }, "clef-handler", Problem, []string{"[template] install splitvault"}},
		{"not installed", func(f *fake) { delete(f.files, "/usr/local/bin/clef") }, "clef", Problem, []string{"cmd/clef@v1.17.3"}},
		{"failed", func(f *fake) { f.runs[clefActive] = Output{Stdout: "failed\n", Exit: 3} }, "clef", Problem, []string{"[vault] journalctl --user -u splitvault-clef-backend.service"}},
		{"locked", func(f *fake) { f.runs[clefActive] = Output{Stdout: "active\n"} }, "clef", Warning, []string{"[vault] unlock it"}},
		{
			"client and vault", func(f *fake) {
				delete(f.files, vaultFile)
				f.files["/run/qubes-service/splitvault-clef"] = file{}
			},
			"clef", Problem,
			[]string{"[dom0] qvm-service vault splitvault-clef off"},
		},
	} {
		t.Run(row.name, func(t *testing.T) { row.found(t, clefVault(t), Options{Vault: true}) })
	}
}
