package policy

import (
	"errors"
	"strings"
	"testing"
)

// evaluate asks for work → target, service svc without argument.
func evaluate(t *testing.T, sys System, target string, rules ...string) Verdict {
	t.Helper()
	return mustLoad(t, rules...).Evaluate(sys, Request{"work", target, "svc", "+"})
}

func TestABrokenPolicyRefusesEverything(t *testing.T) {
	var p *Policy
	if v := p.Evaluate(vectorSystem(), Request{"work", "vault", "svc", "+"}); show(v) != "deny n" || v.Reason == "" {
		t.Errorf("got %+v", v)
	}
}

func TestRequestsThatMustNotReachTheRules(t *testing.T) {
	p := mustLoad(t, "* * * allow target=vault")
	for name, r := range map[string]Request{
		"from dom0":                {"dom0", "vault", "svc", "+"},
		"from a qube nobody knows": {"ghost", "vault", "svc", "+"},
		"without a service":        {"work", "vault", "", "+"},
		"argument without plus":    {"work", "vault", "svc", "x"},
		"without an argument":      {"work", "vault", "svc", ""},
		"* as target":              {"work", "*", "svc", "+"},
		"empty @dispvm:":           {"work", "@dispvm:", "svc", "+"},
	} {
		if v := p.Evaluate(vectorSystem(), r); show(v) != "deny n" {
			t.Errorf("%s: got %s", name, show(v))
		}
	}
}

func TestLoopbackCountsTheResolvedTarget(t *testing.T) {
	sys := vectorSystem()
	for _, row := range []struct{ rule, target, want string }{
		{"* work @anyvm allow", "work", "deny N"},
		{"* work @anyvm allow target=work", "vault", "deny N"},
		{"* work @anyvm allow target=vault", "work", "allow vault"},
	} {
		v := evaluate(t, sys, row.target, row.rule)
		if show(v) != row.want {
			t.Errorf("%s, work → %s: got %s, want %s", row.rule, row.target, show(v), row.want)
		}
		if v.Action == Deny && !strings.Contains(v.Reason, "loopback") {
			t.Errorf("%s: reason %q", row.rule, v.Reason)
		}
	}
}

func TestVerdictCarriesWhatTheRuleSays(t *testing.T) {
	v := evaluate(t, vectorSystem(), "nosuch", "* disp12 vault deny", "* work @default allow target=vault user=root notify=yes autostart=yes")
	if v.User != "root" || !v.Notify || !v.Autostart || v.RequestedTarget != "@default" || !strings.HasSuffix(v.Rule, "/30-user.policy:2") {
		t.Errorf("got %+v", v)
	}
	if v := evaluate(t, vectorSystem(), "dom0", "* work @anyvm allow"); v.Rule != "" || v.RequestedTarget != "@adminvm" || v.Reason != "no matching rule found" {
		t.Errorf("no rule: got %+v", v)
	}
	if v := evaluate(t, vectorSystem(), "disp12", "* work disp12 allow autostart=no"); show(v) != "allow disp12" || v.Autostart {
		t.Errorf("autostart=no, running target: got %+v", v)
	}
}

func TestRefusalsForWantOfAutostartNotifyOnlyOnRequest(t *testing.T) {
	for rule, want := range map[string]string{
		"* work vault allow autostart=no notify=yes":                   "deny N",
		"* work @dispvm allow autostart=no":                            "deny n",
		"* work @default allow target=@dispvm:dvm autostart=no":        "deny n",
		"* work @default ask target=vault autostart=no":                "deny N", // nothing to choose from
		"* work @default ask target=gone autostart=no":                 "deny N",
		"* work @default ask target=disp12 autostart=no":               "ask {disp12}",
		"* work @adminvm allow autostart=no":                           "allow dom0",
		"* work @default allow target=@dispvm autostart=no notify=yes": "deny N",
	} {
		target := strings.Fields(rule)[2]
		if got := show(evaluate(t, vectorSystem(), target, rule)); got != want {
			t.Errorf("%s: got %s, want %s", rule, got, want)
		}
	}
}

func TestNobodyIsNotifiedOrAskedWithoutAGuiVM(t *testing.T) {
	sys := vectorSystem()
	work := sys.Qubes["work"]
	work.GuiVM = ""
	sys.Qubes["work"] = work
	for rule, want := range map[string]string{
		"* work @anyvm ask target=vault":        "deny n",
		"* work vault deny":                     "deny n",
		"* work disp12 allow":                   "deny n",
		"* work vault allow notify=yes":         "allow vault",
		"* work vault ask default_target=vault": "deny n",
	} {
		v := evaluate(t, sys, "vault", rule)
		if show(v) != want || v.Notify {
			t.Errorf("%s: got %s, notify %v, want %s", rule, show(v), v.Notify, want)
		}
	}
}

func TestChoices(t *testing.T) {
	sys := vectorSystem()
	sys.Qubes["sys-internal"] = Qube{Type: "AppVM", Internal: true, GuiVM: "dom0"}
	for _, row := range []struct {
		name, want string
		rules      []string
	}{
		{"* offers dom0 too", "ask {@dispvm:dvm disp12 dom0 dvm vault}", []string{"* work * ask"}},
		{"a type", "ask {dvm vault} preselects vault", []string{"* work @default ask default_target=vault", "* work @type:AppVM ask"}},
		{"templates by tag", "ask {@dispvm:dvm}", []string{"* work @default ask", "* work @dispvm:@tag:x ask"}},
		{"default_target=@dispvm is expanded", "ask {@dispvm:dvm} preselects @dispvm:dvm", []string{"* work @default ask default_target=@dispvm", "* work @dispvm ask"}},
		{"default_target=dom0 is expanded", "ask {dom0} preselects dom0", []string{"* work @default ask default_target=dom0", "* work @adminvm ask"}},
		{"a default that is no choice preselects nothing", "ask {vault}", []string{"* work @default ask target=vault default_target=disp12"}},
		{"rules for other qubes, services and arguments offer nothing", "deny N", []string{"* work @default ask", "* dvm vault ask", "+x work vault ask"}},
		{"not a template for disposables: not offered", "deny N", []string{"* work @default ask", "* work @dispvm:vault ask"}},
		{"a template that does not exist breaks the call", "deny n", []string{"* work @default ask", "* work vault ask", "* work @dispvm:gone ask"}},
		{"target= by UUID is shown by name", "ask {vault} preselects vault", []string{"* work @default ask target=uuid:" + vaultUUID + " default_target=vault"}},
		{"target= may be the source itself", "ask {work}", []string{"* work @default ask target=work"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := show(evaluate(t, sys, "", row.rules...)); got != row.want {
				t.Errorf("got %s, want %s", got, row.want)
			}
		})
	}
}

func TestAnEmptyTargetCountsAsNone(t *testing.T) {
	for target, want := range map[string]string{"vault": "allow vault", "": "deny N"} {
		if v := evaluate(t, vectorSystem(), target, "* work @anyvm allow target="); show(v) != want {
			t.Errorf("work → %q: got %s, want %s", target, show(v), want)
		}
	}
}

func TestADefaultThatIsNoTemplateHasNoTags(t *testing.T) {
	sys := vectorSystem()
	work := sys.Qubes["work"]
	work.DefaultDispVM = "vault"
	sys.Qubes["work"] = work
	if v := evaluate(t, sys, "@dispvm", "* work @dispvm:@tag:ssh-vault allow"); show(v) != "deny N" {
		t.Errorf("got %s", show(v))
	}
}

func TestATemplateByUUIDIsTheTemplate(t *testing.T) {
	sys := vectorSystem()
	dvm := sys.Qubes["dvm"]
	dvm.UUID = "11111111-2222-3333-4444-555555555555"
	sys.Qubes["dvm"] = dvm
	for rule, target := range map[string]string{
		"* work @dispvm:dvm allow":                   "@dispvm:uuid:" + dvm.UUID,
		"* work @dispvm:uuid:" + dvm.UUID + " allow": "@dispvm",
	} {
		if v := evaluate(t, sys, target, rule); show(v) != "allow @dispvm:dvm" {
			t.Errorf("%s: got %s", rule, show(v))
		}
	}
}

func TestDispVMWithoutADefaultTemplateIsRefused(t *testing.T) {
	sys := vectorSystem()
	p := mustLoad(t, "* disp12 @anyvm allow")
	if v := p.Evaluate(sys, Request{"disp12", "@dispvm", "svc", "+"}); show(v) != "deny N" {
		t.Errorf("got %s", show(v))
	}
}

func TestAnswers(t *testing.T) {
	sys := vectorSystem()
	for _, row := range []struct {
		name, rule, answer, want string
		err                      error
	}{
		{"yes", "* work @default ask target=vault user=root", "vault", "allow vault user=root", nil},
		{"one of several", "* work @anyvm ask", "@dispvm:dvm", "allow @dispvm:dvm", nil},
		{"dom0", "* work * ask", "dom0", "allow dom0", nil},
		{"no", "* work @default ask target=vault", "", "deny n", nil},
		{"no, and tell", "* work @default ask target=vault notify=yes", "", "deny N", nil},
		{"a target that was not offered", "* work @default ask target=vault", "disp12", "deny N", ErrNotAChoice},
		{"the requested target is not what was offered", "* work @default ask target=vault", "@default", "deny N", ErrNotAChoice},
		{"the source itself", "* work @default ask target=work", "work", "deny N", nil},
		{"a qube that does not exist", "* work @default ask target=gone", "gone", "deny N", nil},
		{"no template", "* work @default ask target=@dispvm:vault", "@dispvm:vault", "deny N", nil},
		{"a bare @dispvm is not shown in the prompt", "* work @default ask target=@dispvm", "@dispvm", "deny N", nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			asked := evaluate(t, sys, "", row.rule)
			if asked.Action != Ask {
				t.Fatalf("got %s, want ask", show(asked))
			}
			v, err := asked.Answer(row.answer)
			if show(v) != row.want || !errors.Is(err, row.err) || row.err == nil && err != nil {
				t.Errorf("got %s, %v; want %s, %v", show(v), err, row.want, row.err)
			}
			if v.Action == Allow && (!v.Autostart || v.Rule != asked.Rule || v.RequestedTarget != "@default") {
				t.Errorf("lost on the way: %+v", v)
			}
		})
	}
}

func TestOnlyAnAskCanBeAnswered(t *testing.T) {
	for _, v := range []Verdict{{}, {Action: Ask, Choices: []string{"vault"}}, evaluate(t, vectorSystem(), "vault", "* work vault allow")} {
		if got, err := v.Answer("vault"); err == nil || got.Action != Deny {
			t.Errorf("%s answered: got %s, %v", show(v), show(got), err)
		}
	}
}
