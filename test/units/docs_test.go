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

// documents are all that people read.
func documents(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, pattern := range []string{"*.md", "docs/*.md", "dom0/*.md", "dom0/*/*.md"} {
		for _, path := range glob(t, root+pattern) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			all[strings.TrimPrefix(path, root)] = string(text)
		}
	}
	return all
}

// TestPolicyThatDocumentsTellToTypeIsRight: dom0 would take each text, nothing in it
// is suspicious, and it opens nothing for a qube that it does not name.
func TestPolicyThatDocumentsTellToTypeIsRight(t *testing.T) {
	replace := regexp.MustCompile(`(?m)qubes-policy --replace (\S+) <<'EOF'\n((?s:.*?\n))EOF$`)
	found := 0
	for name, text := range documents(t) {
		for _, m := range replace.FindAllStringSubmatch(text, -1) {
			found++
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, m[1]+".policy"), []byte(m[2]), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, finding := range policy.Lint(dir) {
				t.Errorf("%s: %v", name, finding)
			}
			loaded, err := policy.Load(dir)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			qubes := policy.System{Qubes: map[string]policy.Qube{}}
			for _, qube := range []string{"dom0", "work", "vault", "other"} {
				qubes.Qubes[qube] = policy.Qube{Name: qube, Type: "AppVM", GuiVM: "dom0"}
			}
			for service := range strings.FieldsSeq("qubes.Ssh qubes.Clefsign pass.ListPasswords pass.GetPassword pass.GetField qubes.SshAgent") {
				got := loaded.Evaluate(qubes, policy.Request{Source: "other", Target: "@default", Service: service, Argument: "+"})
				if got.Action != policy.Deny {
					t.Errorf("%s: %s of any qube is %v by\n%s", name, service, got.Action, m[2])
				}
			}
		}
	}
	if found < 6 {
		t.Errorf("found only %d policies", found)
	}
}

// TestRulesInDocumentsAreRight: each block of them is read without a mistake.
func TestRulesInDocumentsAreRight(t *testing.T) {
	blocks := regexp.MustCompile("(?ms)^```toml\n(.*?)^```$|rules\\.toml <<'EOF'\n(.*?)^EOF$")
	found := 0
	for name, text := range documents(t) {
		for _, m := range blocks.FindAllStringSubmatch(text, -1) {
			block := m[1] + m[2]
			if strings.Contains(block, "client.toml") || !strings.Contains(block, "[") {
				continue
			}
			found++
			if _, err := rules.Parse("rules.toml", []byte(block)); err != nil {
				t.Errorf("%s: %v\n%s", name, err, block)
			}
		}
	}
	if found < 5 {
		t.Errorf("found only %d", found)
	}
}

// TestManualPagesThatDocumentsNameAreThere.
func TestManualPagesThatDocumentsNameAreThere(t *testing.T) {
	ours := regexp.MustCompile("`((?:splitvault|qpass|ssh-|clef-|pass-|consentd|git-credential|docker-credential)[a-z-]*)\\(([1-8])\\)`|`man ((?:splitvault|qpass|ssh-guard|ssh-relay|clef-|pass-|consentd)[a-z-]*)`")
	for name, text := range documents(t) {
		for _, m := range ours.FindAllStringSubmatch(text, -1) {
			pages, err := filepath.Glob(template + "/usr/share/man/man*/" + m[1] + m[3] + ".[1-8]")
			if err != nil || len(pages) != 1 || m[2] != "" && !strings.HasSuffix(pages[0], "."+m[2]) {
				t.Errorf("%s names %s: there is %q", name, m[0], pages)
			}
		}
	}
}

// TestCommandsThatDocumentsNameAreThere: splitvault's own.
func TestCommandsThatDocumentsNameAreThere(t *testing.T) {
	named := regexp.MustCompile("(?:`|\\$ )splitvault ([a-z]+)")
	source, err := os.ReadFile(root + "templatevm/usr/share/man/man1/splitvault.1")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range documents(t) {
		for _, m := range named.FindAllStringSubmatch(text, -1) {
			if !strings.Contains(string(source), "\n.Cm "+m[1]) {
				t.Errorf("%s names `splitvault %s`, which splitvault(1) does not", name, m[1])
			}
		}
	}
}

// TestEveryProgramAndUnitHasItsPage.
func TestEveryProgramAndUnitHasItsPage(t *testing.T) {
	for _, dir := range append(glob(t, root+"cmd/*"), glob(t, root+"daemons/*")...) {
		pages, err := filepath.Glob(template + "/usr/share/man/man[18]/" + filepath.Base(dir) + ".[18]")
		if err != nil || len(pages) != 1 {
			t.Errorf("%s has no page: %q", filepath.Base(dir), pages)
		}
	}
	var text strings.Builder
	for _, page := range glob(t, template+"/usr/share/man/man[158]/*") {
		content, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		text.Write(content)
	}
	// Pages write "-" as it is, or escaped.
	all := strings.ReplaceAll(text.String(), `\-`, "-")
	for _, unit := range glob(t, root+"units/*/*") {
		if !strings.Contains(all, filepath.Base(unit)) {
			t.Errorf("no page tells of %s", filepath.Base(unit))
		}
	}
}

// TestLinks: what the documents point to is there.
func TestLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#]+)[^)]*\)`)
	for doc, text := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if !strings.Contains(m[1], "://") && !exists(filepath.Join(root, filepath.Dir(doc), m[1])) {
				t.Errorf("%s points to %s", doc, m[1])
			}
		}
	}
}
