package policy

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	dom0Dir     = "../../../dom0"
	shippedFile = "80-splitvault.policy"
	askLine     = "qubes.Ssh * work @anyvm ask target=vault default_target=vault"
	askTag      = "qubes.Ssh * @tag:ssh-client @anyvm ask target=vault default_target=vault"
	allowLine   = "qubes.Ssh * work @anyvm allow target=vault"
	cardLine    = "qubes.Ssh +card work @anyvm allow target=vault"
	quietLines  = "qubes.Ssh * @anyvm * deny notify=no\n" +
		"qubes.Clefsign * @anyvm * deny notify=no\n" +
		"pass.ListPasswords * @anyvm * deny notify=no\n" +
		"pass.GetField * @anyvm * deny notify=no"
	versionLine = "qubes.Clefsign +account_version work @anyvm allow target=vault"
	clefAskLine = "qubes.Clefsign * work @anyvm ask target=vault default_target=vault"
	clefLines   = versionLine + "\n" +
		"qubes.Clefsign +account_list work @anyvm ask target=vault default_target=vault\n" +
		"qubes.Clefsign +account_signTransaction work @anyvm ask target=vault default_target=vault\n" +
		"qubes.Clefsign +account_signData work @anyvm ask target=vault default_target=vault\n" +
		"qubes.Clefsign +account_signTypedData work @anyvm ask target=vault default_target=vault"
	passLines = "pass.ListPasswords +work+ work @anyvm allow target=vault\n" +
		"pass.GetField +work+email__password work @anyvm allow target=vault\n" +
		"pass.GetField +work+email__login work @anyvm allow target=vault"
)

func services() []string {
	return []string{
		"qubes.Ssh", "qubes.Clefsign", "pass.ListPasswords", "pass.GetPassword", "pass.GetField",
		"pass.FindLogin", "pass.InsertPassword", "pass.GeneratePassword",
	}
}

func readDom0(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dom0Dir, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// block is one "qubes-policy --replace NAME" of the README.
type block struct{ name, text string }

// readmeBlocks are the here-documents inside the README's code blocks.
func readmeBlocks(t *testing.T) []block {
	t.Helper()
	var blocks []block
	code, open := false, false
	for line := range strings.Lines(readDom0(t, "README.md")) {
		rest, starts := strings.CutPrefix(line, "sudo qubes-policy --replace ")
		switch {
		case strings.HasPrefix(line, "```"):
			if open {
				t.Fatal("a code block ends inside a here-document")
			}
			code = !code
		case code && starts:
			name, ok := strings.CutSuffix(rest, " <<'EOF'\n")
			if !ok {
				t.Fatalf("%q takes its text from nowhere", line)
			}
			blocks, open = append(blocks, block{name: name}), true
		case open && line == "EOF\n":
			open = false
		case open:
			blocks[len(blocks)-1].text += line
		}
	}
	return blocks
}

// withShipped is a policy directory of the shipped default and NAME → content.
func withShipped(t *testing.T, files map[string]string) string {
	t.Helper()
	all := map[string]string{shippedFile: readDom0(t, "policy.d/"+shippedFile)}
	maps.Copy(all, files)
	return writeDir(t, all)
}

// verdictOf evaluates a call on the machine of the verdict vectors, to which
// "other", a qube without tags, is added.
func verdictOf(t *testing.T, dir string, c call) string {
	t.Helper()
	sys := vectorSystem()
	sys.Qubes["other"] = Qube{Type: "AppVM", Running: true, DefaultDispVM: "dvm", GuiVM: "dom0"}
	p, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	service, argument := SplitService(c.service)
	return show(p.Evaluate(sys, Request{c.from, c.to, service, argument}))
}

func TestShippedPolicyRefusesEverythingQuietly(t *testing.T) {
	dir := filepath.Join(dom0Dir, "policy.d")
	for _, f := range Lint(dir) {
		t.Error(f)
	}
	for _, service := range services() {
		for _, target := range []string{"", "vault", "nosuch", "@dispvm", "@dispvm:dvm", "dom0", "work"} {
			for _, argument := range []string{"", "+", "+card"} {
				for _, from := range []string{"work", "vault", "disp12"} {
					if got := verdictOf(t, dir, call{from, target, service + argument, ""}); got != "deny n" {
						t.Errorf("%s → %q %s%s: got %s", from, target, service, argument, got)
					}
				}
			}
		}
	}
	if got := verdictOf(t, dir, call{"work", "vault", "qubes.Filecopy", ""}); got != "deny N" {
		t.Errorf("the file decides about other services: got %s", got)
	}
}

// What each block of the README leads to, typed as it stands, together with the
// shipped default. A block without an entry here fails.
func TestLinesOfTheReadmeDoWhatItSays(t *testing.T) {
	ssh := func(from, to, want string) call { return call{from, to, "qubes.Ssh", want} }
	asked := "ask {vault} preselects vault"
	want := map[string][]call{
		askLine: {
			ssh("work", "", asked), ssh("work", "vault", asked), ssh("work", "vualt", asked), ssh("work", "@dispvm", asked),
			{"work", "", "qubes.Ssh+card", asked},
			ssh("work", "dom0", "deny n"), ssh("other", "", "deny n"),
			ssh("disp12", "vault", "deny n"),
			{"work", "", "qubes.Clefsign", "deny n"},
			{"work", "", "pass.GetPassword+x", "deny n"},
		},
		askTag: {
			ssh("work", "", asked), ssh("work", "vault", asked), ssh("other", "", "deny n"), ssh("disp12", "", "deny n"),
		},
		allowLine: {
			ssh("work", "", "allow vault"), ssh("work", "vault", "allow vault"), ssh("work", "vualt", "allow vault"),
			ssh("work", "disp12", "allow vault"), ssh("other", "", "deny n"), ssh("work", "dom0", "deny n"),
		},
		cardLine + "\n" + askLine: {
			{"work", "", "qubes.Ssh+card", "allow vault"},
			{"work", "", "qubes.Ssh+cards", asked},
			ssh("work", "", asked),
			{"other", "", "qubes.Ssh+card", "deny n"},
		},
		clefLines: {
			{"work", "", "qubes.Clefsign+account_version", "allow vault"},
			{"work", "", "qubes.Clefsign+account_signTransaction", asked},
			{"work", "", "qubes.Clefsign+account_new", "deny n"},
			{"work", "", "qubes.Clefsign+account_versions", "deny n"},
			{"work", "", "qubes.Clefsign", "deny n"},
			{"other", "", "qubes.Clefsign+account_version", "deny n"},
			ssh("work", "", "deny n"),
		},
		passLines: {
			{"work", "", "pass.ListPasswords+work+", "allow vault"},
			{"work", "", "pass.ListPasswords", "deny n"},
			{"work", "", "pass.GetField+work+email__password", "allow vault"},
			{"work", "", "pass.GetField+work+email__url", "deny n"},
			{"work", "", "pass.GetField+work+bank__password", "deny n"},
			{"work", "", "pass.GetPassword+work+email", "deny n"},
			{"other", "", "pass.GetField+work+email__password", "deny n"},
		},
		quietLines: {
			ssh("work", "", "deny n"), ssh("work", "dom0", "deny n"),
			{"work", "", "qubes.Clefsign+account_list", "deny n"},
			{"work", "", "pass.GetPassword+x", "deny N"},
		},
	}
	seen := map[string]bool{}
	for _, b := range readmeBlocks(t) {
		calls, ok := want[strings.TrimSuffix(b.text, "\n")]
		if !ok {
			t.Errorf("the README has a block that this test does not know:\n%s", b.text)
		}
		seen[strings.TrimSuffix(b.text, "\n")] = true
		dir := withShipped(t, map[string]string{b.name + suffix: b.text})
		for _, f := range Lint(dir) {
			t.Error(f)
		}
		for _, c := range calls {
			if got := verdictOf(t, dir, c); got != c.want {
				t.Errorf("after\n%s%s → %q %s: got %s, want %s", b.text, c.from, c.to, c.service, got, c.want)
			}
		}
	}
	for text := range want {
		if !seen[text] {
			t.Errorf("the README no longer has the block\n%s", text)
		}
	}
}

// The examples in the comments of the shipped file are the ones of the README.
func TestExamplesInTheShippedFileAreTestedLines(t *testing.T) {
	var got []string
	for line := range strings.Lines(readDom0(t, "policy.d/"+shippedFile)) {
		if example, ok := strings.CutPrefix(line, "#   "); ok && !strings.HasPrefix(example, "sudo ") && !strings.HasPrefix(example, " ") {
			got = append(got, strings.TrimSuffix(example, "\n"))
		}
	}
	pass := strings.Split(passLines, "\n")[1]
	want := []string{askLine, askTag, allowLine, cardLine, askLine, versionLine, clefAskLine, "pass.ListPasswords * work @anyvm allow target=vault", pass}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// SOURCE @anyvm is every qube, the hostile ones too.
func TestNoLineWeShipOrTeachOpensTheVaultToEveryQube(t *testing.T) {
	texts := map[string]string{shippedFile: readDom0(t, "policy.d/"+shippedFile)}
	for _, b := range readmeBlocks(t) {
		texts[b.name+": "+b.text] = b.text
		if b.name != "30-splitvault" && b.name+suffix != shippedFile {
			t.Errorf("the README writes to %s", b.name)
		}
	}
	for name, text := range texts {
		statements, findings := parseFile([]byte(text), nil)
		if len(findings) != 0 || len(statements) == 0 {
			t.Errorf("%s: %d rules, findings %v", name, len(statements), findings)
		}
		for _, st := range statements {
			wide := st.rule.source.kind == anyVMToken || st.rule.source.kind == wildcardToken
			if st.directive != "" || wide && st.rule.action != Deny || st.rule.user != "" {
				t.Errorf("%s: line %d: %s %s", name, st.line, st.directive, st.rule.encode())
			}
		}
	}
}
