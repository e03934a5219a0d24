package policy

import "testing"

type call struct{ from, to, service, want string }

// The verdicts of the real parser (qubes-core-qrexec 4.3.12) on the machine of
// vectorSystem. "" as target is a call without one.
func TestVerdictsOfTheRealParser(t *testing.T) {
	anyChoice := "ask {@dispvm:dvm disp12 dvm vault}"
	work := func(to, want string) call { return call{"work", to, "svc", want} }
	svc := func(service, to, want string) call { return call{"work", to, service, want} }
	disp := func(to, want string) call { return call{"disp12", to, "svc", want} }
	for _, row := range []struct {
		name  string
		rules []string
		calls []call
	}{
		{"a name is a name", []string{"* work vault allow"}, []call{work("vault", "allow vault"), work("nosuch", "deny N")}},
		{
			"@default is no target and any unknown name",
			[]string{"* work @default allow target=vault"},
			[]call{work("", "allow vault"), work("nosuch", "allow vault"), work("vault", "deny N")},
		},
		{
			"@anyvm matches @default, but allow needs a target",
			[]string{"* work @anyvm allow"},
			[]call{work("", "deny N"), work("vault", "allow vault"), work("@dispvm", "allow @dispvm:dvm"), work("dom0", "deny N")},
		},
		{"@anyvm with a redirect", []string{"* work @anyvm allow target=vault"}, []call{work("", "allow vault")}},
		{
			"+ is only the empty argument",
			[]string{"+k1 work vault allow", "+ work vault allow user=root"},
			[]call{
				svc("svc+k1", "vault", "allow vault"), svc("svc", "vault", "allow vault user=root"),
				svc("svc+", "vault", "allow vault user=root"), svc("svc+k2", "vault", "deny N"),
			},
		},
		{
			"the first match decides",
			[]string{"+x work vault deny notify=no", "* work vault allow", "* @anyvm @anyvm deny"},
			[]call{
				svc("svc+x", "vault", "deny n"), work("vault", "allow vault"), svc("svc+", "vault", "allow vault"),
				svc("svc+xy", "vault", "allow vault"), work("", "deny N"), work("disp12", "deny N"), work("dom0", "deny N"),
			},
		},
		{
			"tags never match @default",
			[]string{"* @tag:ssh-client @tag:ssh-vault ask"},
			[]call{work("vault", "ask {vault}"), work("", "deny N")},
		},
		{
			"default_target alone offers nothing",
			[]string{"* @tag:ssh-client @default ask default_target=vault"},
			[]call{work("", "deny N")},
		},
		{
			"the line we ship",
			[]string{"* work @default ask target=vault default_target=vault", "* @anyvm @anyvm deny notify=no"},
			[]call{
				work("", "ask {vault} preselects vault"), work("@default", "ask {vault} preselects vault"),
				work("nosuch", "ask {vault} preselects vault"), work("vault", "deny n"),
			},
		},
		{
			"a second ask rule supplies the choice",
			[]string{"* work @default ask default_target=vault", "* work vault ask", "* @anyvm @anyvm deny"},
			[]call{work("", "ask {vault} preselects vault"), work("vault", "ask {vault}")},
		},
		{
			"an allow rule supplies the choice",
			[]string{"* work @default ask", "* work @tag:ssh-vault allow target=vault"},
			[]call{work("", "ask {vault}")},
		},
		{
			"ask target= preselects nothing",
			[]string{"* work vault ask target=vault"},
			[]call{work("vault", "ask {vault}"), work("", "deny N")},
		},
		{"ask target= need not exist", []string{"* work @default ask target=gone"}, []call{work("", "ask {gone}")}},
		{"allow target= must exist", []string{"* work @default allow target=gone"}, []call{work("", "deny N")}},
		{"@anyvm offers all", []string{"* work @anyvm ask"}, []call{work("", anyChoice), work("vault", anyChoice)}},
		{
			"autostart=no offers what runs",
			[]string{"* work @anyvm ask autostart=no"},
			[]call{work("vault", "ask {disp12}"), work("disp12", "ask {disp12}")},
		},
		{
			"a later deny loses to an earlier ask",
			[]string{"* work @anyvm ask", "* work vault deny"},
			[]call{work("vault", anyChoice)},
		},
		{
			"an earlier deny takes the choice away",
			[]string{"* work vault deny", "* work @anyvm ask"},
			[]call{work("vault", "deny N"), work("dvm", "ask {@dispvm:dvm disp12 dvm}")},
		},
		{"autostart=no with a halted target", []string{"* work vault allow autostart=no"}, []call{work("vault", "deny n")}},
		{
			"autostart=no through a redirect",
			[]string{"* @tag:ssh-client @default allow target=vault autostart=no"},
			[]call{work("", "deny n")},
		},
		{
			"* is everything",
			[]string{"* * * allow target=vault"},
			[]call{work("dom0", "allow vault"), work("", "allow vault"), work("work", "allow vault")},
		},
		{"* refuses everything", []string{"* work * deny notify=no"}, []call{work("", "deny n"), work("dom0", "deny n")}},
		{"dom0 has two names", []string{"* work @adminvm allow"}, []call{work("dom0", "allow dom0"), work("@adminvm", "allow dom0")}},
		{
			"@dispvm is not @dispvm:NAME",
			[]string{"* work @dispvm allow"},
			[]call{work("@dispvm", "allow @dispvm:dvm"), work("@dispvm:dvm", "deny N")},
		},
		{
			"@dispvm:NAME is @dispvm of that caller",
			[]string{"* work @dispvm:dvm allow"},
			[]call{work("@dispvm", "allow @dispvm:dvm"), work("@dispvm:dvm", "allow @dispvm:dvm"), work("@dispvm:vault", "deny N")},
		},
		{
			"@dispvm:@tag",
			[]string{"* work @dispvm:@tag:x allow"},
			[]call{work("@dispvm", "allow @dispvm:dvm"), work("@dispvm:dvm", "allow @dispvm:dvm")},
		},
		{"@dispvm:NAME as source never matches", []string{"* @dispvm:dvm vault allow"}, []call{disp("vault", "deny N")}},
		{"disposables by type", []string{"* @type:DispVM vault allow"}, []call{disp("vault", "allow vault")}},
		{"disposables by tag", []string{"* @tag:disp-created-by-work vault allow"}, []call{disp("vault", "allow vault")}},
		{
			"types never match @default",
			[]string{"* work @type:AppVM allow"},
			[]call{work("dvm", "allow dvm"), work("vault", "allow vault"), work("", "deny N")},
		},
		{
			"a UUID is the name, allow",
			[]string{"* work uuid:" + vaultUUID + " allow"},
			[]call{work("vault", "allow vault"), work("uuid:"+vaultUUID, "allow vault")},
		},
		{
			"a UUID is the name, ask",
			[]string{"* work uuid:" + vaultUUID + " ask"},
			[]call{work("vault", "ask {vault}"), work("uuid:"+vaultUUID, "ask {vault}")},
		},
		{"$anyvm is a name", []string{"* $anyvm vault allow"}, []call{work("vault", "deny N")}},
		{"a comma is part of the name", []string{"* work vault allow target=vault,user=root"}, []call{work("vault", "deny N")}},
		{
			"no other keyword may be called",
			[]string{"* * * allow target=vault"},
			[]call{work("@anyvm", "deny n"), work("@tag:x", "deny n")},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := mustLoad(t, row.rules...)
			for _, c := range row.calls {
				service, argument := SplitService(c.service)
				v := p.Evaluate(vectorSystem(), Request{c.from, c.to, service, argument})
				if got := show(v); got != c.want {
					t.Errorf("%s → %q %s: got %s, want %s (%s)", c.from, c.to, c.service, got, c.want, v.Reason)
				}
			}
		})
	}
}
