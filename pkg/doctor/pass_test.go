package doctor

import (
	"context"
	"io/fs"
	"testing"

	"github.com/splitvault/splitvault/pkg/qrexec"
)

const showPass = "systemctl --user show -p LoadState,ActiveState,Result,ConditionResult,NRefused splitvault-pass.socket"

// passClient is "work", which uses passwords alone, and in which all is well.
func passClient(t *testing.T) *fake {
	f := healthyClient(t)
	delete(f.files, serviceFile)
	f.files["/run/qubes-service/splitvault-pass"] = file{}
	f.files[passRelay] = file{mode: 0o755}
	f.files["/usr/bin/qpass"] = file{mode: 0o755}
	f.files["/usr/bin/dmenu"] = file{mode: 0o755}
	f.files[runtimeDir+"/splitvault/S.pass"] = file{mode: fs.ModeSocket | 0o600}
	f.runs[showPass] = f.runs[showUnit]
	f.lines = 3
	return f
}

func TestHealthyClientOfPasswordsIsWell(t *testing.T) {
	f := passClient(t)
	report := Run(t.Context(), f, Options{})
	if report.Exit() != 0 || report.Status != OK {
		t.Fatalf("got exit %d, %+v", report.Exit(), report)
	}
	saysAll(t, find(t, report, "pass-call"), "the vault answers; entries for this qube: 3")
	if len(f.called) != 1 || f.called[0] != "/usr/bin/qrexec-client-vm @default pass.ListPasswords" {
		t.Errorf("called %q", f.called)
	}
	for _, c := range report.Checks {
		if c.Check == "service" || c.Check == "call" {
			t.Errorf("ssh, which is off here, is examined: %+v", c)
		}
	}
}

func TestBothServicesAreExamined(t *testing.T) {
	f := passClient(t)
	f.files[serviceFile] = file{}
	report := Run(t.Context(), f, Options{})
	saysAll(t, find(t, report, "call"), "keys for this qube")
	saysAll(t, find(t, report, "pass-call"), "the vault answers")
}

func TestFailuresOfPass(t *testing.T) {
	answer := func(o qrexec.Outcome) func(*fake) { return func(f *fake) { f.answer = o } }
	for _, row := range []failure{
		{
			"switched on after the start", func(f *fake) {
				delete(f.files, "/run/qubes-service/splitvault-pass")
				f.runs["qubesdb-read /qubes-service/splitvault-pass"] = Output{Stdout: "1\n"}
			},
			"pass", Problem,
			[]string{"[dom0] qvm-shutdown --wait work"},
		},
		{"no relay", func(f *fake) { delete(f.files, passRelay) }, "pass-programs", Problem, []string{"[template] install splitvault"}},
		{
			"the socket failed", func(f *fake) {
				f.runs[showPass] = Output{Stdout: "LoadState=loaded\nActiveState=failed\nResult=resources\n"}
			},
			"pass-socket", Problem,
			[]string{"[work] systemctl --user reset-failed splitvault-pass.socket"},
		},
		{
			"the node is gone", func(f *fake) { delete(f.files, runtimeDir+"/splitvault/S.pass") },
			"pass-node", Problem,
			[]string{"[work] systemctl --user restart splitvault-pass.socket"},
		},
		{
			"a vault of the shell's own", func(f *fake) { f.env["QUBES_PASS_DOMAIN"] = "other" },
			"pass-target", Warning,
			[]string{"[work] unset QUBES_PASS_DOMAIN"},
		},
		{
			"dom0 names a vault, the relays do not know it", func(f *fake) { f.runs["qubesdb-read /vm-config/splitvault-pass-domain"] = Output{Stdout: "pv\n"} },
			"pass-target", Problem,
			[]string{"names pv", "[work] systemctl --user restart splitvault-pass.socket"},
		},
		{
			"dom0 names nonsense", func(f *fake) { f.runs["qubesdb-read /vm-config/splitvault-pass-domain"] = Output{Stdout: "a b\n"} },
			"pass-target", Problem,
			[]string{"[dom0] qvm-features work vm-config.splitvault-pass-domain VAULT"},
		},
		{
			"no menu and nobody to type", func(f *fake) { delete(f.files, "/usr/bin/dmenu"); f.env["WAYLAND_DISPLAY"] = "wayland-0" },
			"pass-tools", Warning,
			[]string{"wtype", "rofi", "[template]"},
		},
		{
			"dom0 refuses the list", answer(qrexec.Outcome{Code: 126}), "pass-call", Warning,
			[]string{"[work] qpass policy work ENTRY", "pass.ListPasswords * work @anyvm ask"},
		},
		{
			"no rule, or no store", func(f *fake) { f.lines = 0 }, "pass-call", Warning,
			[]string{"lists nothing for this qube", "[vault] splitvault explain work pass", "[vault] splitvault doctor --vault"},
		},
		{
			"nobody to ask about the list", answer(qrexec.Outcome{Code: 11}), "pass-call", Warning,
			[]string{"nobody could be asked", "[vault] splitvault doctor --vault"},
		},
		{
			"no answer", answer(qrexec.Outcome{Code: -1, Err: context.DeadlineExceeded}), "pass-call", Problem,
			[]string{"no answer within 1m0s", "[dom0] look for a question window"},
		},
		{
			"nonsense in the relays' file", func(f *fake) { f.files[runtimeDir+"/splitvault/env"] = file{text: "QUBES_PASS_DOMAIN=a b\n"} },
			"pass-call", Problem,
			[]string{"no name of a qube", "[work] unset QUBES_PASS_DOMAIN"},
		},
		{"no guard", answer(qrexec.Outcome{Code: 127}), "pass-call", Problem, []string{"has no service pass.ListPasswords"}},
		{"the vault broke", answer(qrexec.Outcome{Code: 255}), "pass-call", Problem, []string{"the connection broke"}},
	} {
		t.Run(row.name, func(t *testing.T) { row.found(t, passClient(t), Options{}) })
	}
}
