package units

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/splitvault/splitvault/pkg/rules"
	"github.com/splitvault/splitvault/test/qubes/policy"
)

const root = "../../"

// TestReadmeIsTypedAsItStands: the rules and the line of policy that it tells
// people to type are right.
func TestReadmeIsTypedAsItStands(t *testing.T) {
	readme, err := os.ReadFile(root + "README.md")
	if err != nil {
		t.Fatal(err)
	}
	texts := heredocs(string(readme))
	if len(texts) != 2 {
		t.Fatalf("found %d texts to type, want the policy and the rules", len(texts))
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "30-splitvault.policy"), []byte(texts[0]), 0o600); err != nil {
		t.Fatal(err)
	}
	loaded, err := policy.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	qubes := policy.System{Qubes: map[string]policy.Qube{}}
	for _, name := range []string{"dom0", "work", "vault", "other"} {
		qubes.Qubes[name] = policy.Qube{Name: name, Type: "AppVM", GuiVM: "dom0"}
	}
	for source, want := range map[string]policy.Action{"work": policy.Ask, "other": policy.Deny} {
		got := loaded.Evaluate(qubes, policy.Request{Source: source, Target: "@default", Service: "qubes.Ssh", Argument: "+"})
		if got.Action != want {
			t.Errorf("%s calls: got %v, want %v", source, got.Action, want)
		}
	}
	file, err := rules.Parse("rules.toml", []byte(texts[1]))
	if err != nil {
		t.Fatal(err)
	}
	if !file.SSH.Serves("work", "") || file.SSH.Serves("other", "") {
		t.Errorf("the rules do not serve work alone:\n%s", texts[1])
	}
}

// heredocs returns what stands between <<'EOF' and EOF.
func heredocs(text string) []string {
	var found []string
	for _, m := range regexp.MustCompile(`(?s)<<'EOF'\n(.*?\n)EOF\n`).FindAllStringSubmatch(text, -1) {
		found = append(found, m[1])
	}
	return found
}

// TestLinks: what the documents point to is there.
func TestLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#]+)[^)]*\)`)
	for _, doc := range append(glob(t, root+"*.md"), glob(t, root+"docs/*.md")...) {
		text, err := os.ReadFile(doc)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if !strings.Contains(m[1], "://") && !exists(filepath.Join(filepath.Dir(doc), m[1])) {
				t.Errorf("%s points to %s", doc, m[1])
			}
		}
	}
}
