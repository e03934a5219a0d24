package glob

import (
	"strings"
	"testing"
)

func TestMatch(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		pattern, text string
		want          bool
	}{
		{"*", "", true},
		{"*", "a/b", true},
		{"work", "work", true},
		{"work", "work2", false},
		{"work", "wor", false},
		{"w*k", "work", true},
		{"w*k", "wk", true},
		{"w*k", "works", false},
		{"*@*", "a@b", true},
		{"?", "", false},
		{"a*b*c", "a-b-b-c", true},
		{"a*b*c", "a-c-b", false},
		{"disp*", "disp123", true},
		{"", "", true},
		{"", "x", false},
		{"[a]", "a", false},
		{`\*`, "*", false},
	} {
		if got := Pattern(row.pattern).Match(row.text); got != row.want {
			t.Errorf("%q on %q: got %v", row.pattern, row.text, got)
		}
	}
}

// all returns the texts over an alphabet up to a length.
func all(alphabet string, length int) []string {
	texts := []string{""}
	for from := 0; length > 0; length-- {
		to := len(texts)
		for _, t := range texts[from:to] {
			for _, c := range alphabet {
				texts = append(texts, t+string(c))
			}
		}
		from = to
	}
	return texts
}

// Compared with what the patterns do with all short texts: Covers never says yes
// wrongly, Meets never errs.
func TestPatternsOfPatterns(t *testing.T) {
	t.Parallel()
	patterns, texts := all("ab*?", 3), all("ab", 6)
	covered, missed := 0, 0
	for _, p := range patterns {
		for _, other := range patterns {
			p, other := Pattern(p), Pattern(other)
			covers, meets := true, false
			for _, text := range texts {
				if other.Match(text) {
					covers = covers && p.Match(text)
					meets = meets || p.Match(text)
				}
			}
			if p.Covers(other) && !covers {
				t.Errorf("%q does not cover %q", p, other)
			}
			if covers {
				covered++
				if !p.Covers(other) {
					missed++
				}
			}
			if p.Meets(other) != meets {
				t.Errorf("%q meets %q: %v", p, other, !meets)
			}
		}
	}
	if covered < 500 || missed > covered/10 {
		t.Errorf("%d of %d pairs are not found", missed, covered)
	}
}

func FuzzMatch(f *testing.F) {
	f.Add("a*b?", "axxbc")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		p := Pattern(pattern)
		if !p.Covers(p) || Pattern("*").Match(text) != true || !p.Covers(Pattern(text)) && p.Match(text) && !hasWild(text) {
			t.Fatalf("%q with %q", pattern, text)
		}
		if p.Match(text) && !hasWild(text) && !p.Meets(Pattern(text)) {
			t.Fatalf("%q does not meet %q", pattern, text)
		}
	})
}

func hasWild(text string) bool { return strings.ContainsAny(text, "*?") }
