package rails

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// noFuzz are packages with functions that are named like parsers and need no
// target of their own, with the reason.
var noFuzz = map[string]string{
	"pkg/clefrelay":  "jsonrpc.ParseReply does it, which has a target",
	"pkg/sshrelay":   "the user's own environment; messages are read by pkg/sshagent, which has targets",
	"pkg/status":     "what the user's own service manager says",
	"cmd/splitvault": "the user's own command line",
}

var (
	target = regexp.MustCompile(`(?m)^func (Fuzz\w+)\(`)
	parser = regexp.MustCompile(`(?m)^func (?:\([^)]*\) )?((?:[Pp]arse|[Dd]ecode)\w*)\(`)
)

// TestEveryParserHasAFuzzTargetWithACorpus: what a parser took wrongly once must be
// in its corpus, and "just fuzz" needs something to begin with.
func TestEveryParserHasAFuzzTargetWithACorpus(t *testing.T) {
	found := 0
	for _, root := range []string{"../../pkg", "../../daemons", "../../cmd", "../openssh"} {
		err := filepath.WalkDir(root, func(dir string, d os.DirEntry, err error) error {
			if err != nil || !d.IsDir() || d.Name() == "testdata" {
				return err
			}
			targets, parsers := inPackage(t, dir)
			name, _ := filepath.Rel("../..", dir)
			found += len(targets)
			for _, f := range targets {
				if corpus, err := os.ReadDir(filepath.Join(dir, "testdata/fuzz", f)); err != nil || len(corpus) == 0 {
					t.Errorf("%s: %s has no corpus: run it, and commit a few files of it in testdata/fuzz/%s", name, f, f)
				}
			}
			why, excused := noFuzz[name]
			switch {
			case len(parsers) > 0 && len(targets) == 0 && !excused:
				t.Errorf("%s parses (%s) and has no fuzz target", name, strings.Join(parsers, ", "))
			case excused && (len(parsers) == 0 || len(targets) > 0):
				t.Errorf("%s needs no excuse any more: %s", name, why)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if found == 0 {
		t.Error("no fuzz targets found: this test is blind")
	}
}

func inPackage(t *testing.T, dir string) (targets, parsers []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(path, "_test.go") {
			targets = append(targets, names(target, text)...)
		} else {
			parsers = append(parsers, names(parser, text)...)
		}
	}
	slices.Sort(parsers)
	return targets, parsers
}

func names(pattern *regexp.Regexp, text []byte) []string {
	var all []string
	for _, m := range pattern.FindAllSubmatch(text, -1) {
		all = append(all, string(m[1]))
	}
	return all
}
