package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const ourPolicy = "../../../../dom0/policy.d"

// check runs policycheck and returns exit status, stdout and stderr.
func check(args ...string) (int, string, string) {
	var stdout, stderr strings.Builder
	code := run(args, &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

func writePolicy(t *testing.T, name, text string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestOurDirectoryIsClean(t *testing.T) {
	if code, stdout, stderr := check(ourPolicy); code != 0 || stdout+stderr != "" {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
}

func TestFindingsAreOnStderrWithLineAndHint(t *testing.T) {
	dir := writePolicy(t, "30-user.policy", "# mine\nqubes.Ssh * work vault allow target=vault,user=root\n")
	code, stdout, stderr := check(dir)
	want := dir + `/30-user.policy:2: no qube can be called "vault,user=root"` + "\n\thint: "
	if code != 1 || stdout != "" || !strings.HasPrefix(stderr, want) {
		t.Errorf("exit %d, stdout %q, stderr\n%s", code, stdout, stderr)
	}
}

func TestEvalPrintsTheVerdict(t *testing.T) {
	dir := writePolicy(t, "30-splitvault.policy", "qubes.Ssh * work @anyvm ask target=vault default_target=vault\nqubes.Ssh * @anyvm * deny notify=no\n")
	machine := writePolicy(t, "qubes.json", `{"qubes":{"dom0":{"type":"AdminVM"},"work":{"type":"AppVM"},"vault":{"type":"AppVM"}}}`)
	for name, row := range map[string]struct {
		args []string
		want string
	}{
		"ask": {
			[]string{"-eval", "work qubes.Ssh+card", ourPolicy, dir},
			"result=ask\nchoices=vault\ndefault_target=vault\nrequested_target=@default\nrule=" + dir + "/30-splitvault.policy:1\nnotify=false\n",
		},
		"deny": {
			[]string{"-eval", "other vault qubes.Ssh", ourPolicy, dir},
			"result=deny\nrequested_target=vault\nrule=" + dir + "/30-splitvault.policy:2\nreason=denied by policy " + dir + "/30-splitvault.policy:2\nnotify=false\n",
		},
		"a target that no rule names": {
			[]string{"-eval", "other sys-net qubes.Ssh", dir},
			"result=deny\nrequested_target=sys-net\nrule=" + dir + "/30-splitvault.policy:2\nreason=denied by policy " + dir + "/30-splitvault.policy:2\nnotify=false\n",
		},
		"on another machine: no GuiVM to ask in": {
			[]string{"-eval", "work @default qubes.Ssh", "-qubes", filepath.Join(machine, "qubes.json"), dir},
			"result=deny\nrequested_target=@default\nrule=" + dir + "/30-splitvault.policy:1\nreason=denied by the user " + dir + "/30-splitvault.policy:1 (the source has no GuiVM to ask in)\nnotify=false\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if code, stdout, stderr := check(row.args...); code != 0 || stdout != row.want || stderr != "" {
				t.Errorf("exit %d, stderr %q, got\n%swant\n%s", code, stderr, stdout, row.want)
			}
		})
	}
}

func TestEvalOnABrokenDirectoryRefuses(t *testing.T) {
	dir := writePolicy(t, "30-User.policy", "qubes.Ssh * work vault allow\n")
	code, stdout, stderr := check("-eval", "work vault qubes.Ssh", dir)
	if code != 1 || !strings.HasPrefix(stdout, "result=deny\n") || !strings.Contains(stderr, "invalid file name") {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
}

func TestHelp(t *testing.T) {
	if code, stdout, stderr := check("-h"); code != 0 || stdout != usage || stderr != "" {
		t.Errorf("exit %d, stderr %q", code, stderr)
	}
}

func TestWrongUsage(t *testing.T) {
	for _, args := range [][]string{
		{},
		{"-frobnicate", ourPolicy},
		{"-qubes", "x", ourPolicy},
		{"-eval", "work", ourPolicy},
		{"-eval", "a b c d", ourPolicy},
		{"-eval", "work vault qubes.Ssh+a/b", ourPolicy},
		{"-eval", "work v+t qubes.Ssh", ourPolicy},
		{"-eval", "work vault +x", ourPolicy},
		{"-eval", "work vault qubes.Ssh", "-qubes", "/nonexistent", ourPolicy},
	} {
		if code, stdout, stderr := check(args...); code != 2 || stdout != "" || !strings.HasPrefix(stderr, "policycheck: ") {
			t.Errorf("%q: exit %d, stdout %q, stderr %q", args, code, stdout, stderr)
		}
	}
}
