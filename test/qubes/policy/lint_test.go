package policy

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestLintFindsWhatNeverDoesWhatItSays(t *testing.T) {
	for name, row := range map[string]struct {
		text string
		want string // "" = clean
	}{
		"a good file":           {"# x\nsvc * work @anyvm ask target=vault default_target=vault\nsvc * @anyvm @anyvm deny notify=no\n", ""},
		"a comma after target=": {"svc * work vault allow target=vault,user=root\n", `30-user.policy:1: no qube can be called "vault,user=root"`},
		"a comma after default_target=": {
			"svc * work vault ask target=vault default_target=vault,user=root\n",
			`30-user.policy:1: no qube can be called "vault,user=root"`,
		},
		"a comma after user=":    {"svc * work vault allow user=root,notify=yes\n", `30-user.policy:1: no user can be called "root,notify=yes"`},
		"$anyvm":                 {"svc * $anyvm vault allow\n", `30-user.policy:1: no qube can be called "$anyvm"`},
		"a name with an accent":  {"svc * wörk vault allow\n", `30-user.policy:1: no qube can be called "wörk"`},
		"a name with !":          {"svc * work VAULT!!name allow\n", `30-user.policy:1: no qube can be called "VAULT!!name"`},
		"a name of 32 letters":   {"svc * " + strings.Repeat("a", 32) + " vault allow\n", `30-user.policy:1: no qube can be called "` + strings.Repeat("a", 32) + `"`},
		"a digit first":          {"svc * 1work vault allow\n", `30-user.policy:1: no qube can be called "1work"`},
		"default without @":      {"svc * work default allow target=vault\n", `30-user.policy:1: no qube can be called "default"`},
		"half a UUID":            {"svc * work uuid:1234 allow\n", `30-user.policy:1: no qube can be called "uuid:1234"`},
		"a UUID":                 {"svc * work uuid:" + vaultUUID + " allow\n", ""},
		"a type that is none":    {"svc * @type:appvm vault allow\n", `30-user.policy:1: no qube has the type "appvm"`},
		"a tag that is none":     {"svc * @tag:a,b vault allow\n", `30-user.policy:1: no qube can have the tag "a,b"`},
		"@dispvm:X as source":    {"svc * @dispvm:dvm vault allow\n", "30-user.policy:1: @dispvm:dvm as SOURCE never matches a running disposable"},
		"@dispvm:@tag as source": {"svc * @dispvm:@tag:a vault allow\n", "30-user.policy:1: @dispvm:@tag:a as SOURCE never matches a running disposable"},
		"an empty target=":       {"svc * work @default allow target=\n", "30-user.policy:1: empty target= or default_target="},
		"ask with nothing to choose": {
			"svc * @tag:a @default ask default_target=vault\n",
			"30-user.policy:1: asks with nothing to choose from, which is a refusal",
		},
		"ask with choices for another qube only": {
			"svc * work @default ask default_target=vault\nsvc * dvm vault ask\n",
			"30-user.policy:1: asks with nothing to choose from, which is a refusal",
		},
		"ask with choices for a source that never calls": {
			"svc * work @default ask\nsvc * @dispvm:dvm vault ask\n",
			"30-user.policy:1: asks with nothing to choose from, which is a refusal\n" +
				"30-user.policy:2: @dispvm:dvm as SOURCE never matches a running disposable",
		},
		"ask with choices from another rule": {"svc * work @default ask default_target=vault\nsvc * @tag:a vault ask\n", ""},
		"the same rule twice":                {"svc * work vault allow\nsvc * work vault ask\n", "30-user.policy:2: is never reached: DIR/30-user.policy:1 matches first"},
		"narrow behind wide":                 {"svc * @anyvm @anyvm deny\nsvc +x work vault allow\n", "30-user.policy:2: is never reached: DIR/30-user.policy:1 matches first"},
		"behind everything":                  {"* * * * deny\nsvc * work dom0 allow\n", "30-user.policy:2: is never reached: DIR/30-user.policy:1 matches first"},
		"dom0 is not @anyvm":                 {"svc * @anyvm @anyvm deny\nsvc * work dom0 allow\n", ""},
		"* is wider than @anyvm":             {"svc * @anyvm @anyvm deny\nsvc * @anyvm * deny notify=no\n", ""},
		"narrow before wide":                 {"svc +x work vault allow\nsvc * work vault ask\nsvc * @anyvm @anyvm deny\n", ""},
		"unreached, but a choice":            {"svc * work @default ask\nsvc * work @default allow target=vault\n", ""},
		"a deny behind an ask":               {"svc * work @anyvm ask\nsvc * work vault deny\n", "30-user.policy:2: is never reached: DIR/30-user.policy:1 matches first"},
		"two errors in one file": {
			"svc * work vault allow # mine\nsvc work vault allow\n",
			"30-user.policy:1: invalid parameter \"#\"\n30-user.policy:2: wrong number of columns: 4, a rule has at least 5",
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := writeDir(t, map[string]string{"30-user.policy": row.text})
			var lines []string
			for _, f := range Lint(dir) {
				lines = append(lines, strings.ReplaceAll(strings.TrimPrefix(f.Error(), dir+"/"), dir, "DIR"))
			}
			if got := strings.Join(lines, "\n"); got != row.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, row.want)
			}
		})
	}
}

func TestLintOfFileNames(t *testing.T) {
	dir := writeDir(t, map[string]string{
		"30-User.policy": "", "30-a.b.policy": "", "30-splitvault": "", "README": "", "notes.txt": "", "include/30-x": "",
	})
	var got []string
	for _, f := range Lint(dir) {
		got = append(got, filepath.Base(f.File))
		if f.Line != 0 || f.Hint == "" {
			t.Errorf("%+v: want no line and a hint", f)
		}
	}
	if want := "30-User.policy 30-a.b.policy 30-splitvault"; strings.Join(got, " ") != want {
		t.Errorf("got findings for %v, want %s", got, want)
	}
}

func TestLintLetsUsersOverridePackagedDefaults(t *testing.T) {
	for name, want := range map[string]int{"80-splitvault.policy": 0, "31-user.policy": 1} {
		dir := writeDir(t, map[string]string{"30-user.policy": "svc * @anyvm @anyvm deny\n", name: "svc * work vault allow\n"})
		if findings := Lint(dir); len(findings) != want {
			t.Errorf("hidden rule in %s: got %v, want %d findings", name, findings, want)
		}
	}
}

func TestLintHints(t *testing.T) {
	for line, want := range map[string]string{
		"svc * work vault allow # mine":                 "comment",
		"svc work vault allow":                          "SERVICE ARGUMENT SOURCE TARGET ACTION",
		"svc x work vault allow":                        "second column",
		"svc * work vault ask,default_target=vault":     "spaces, not commas",
		"svc * work allow target=vault":                 "column is missing",
		"svc * work @default allow":                     "target=",
		"svc * @default vault allow":                    "SOURCE",
		"svc * work vault allow target=vault,user=root": "comma",
		"svc * $anyvm vault allow":                      "@ instead of $",
		"svc * work default allow target=vault":         "@default",
	} {
		findings := Lint(writeDir(t, map[string]string{"30-user.policy": line + "\n"}))
		if len(findings) != 1 || !strings.Contains(findings[0].Hint, want) {
			t.Errorf("%s: got %+v, want a hint with %q", line, findings, want)
		}
	}
}
