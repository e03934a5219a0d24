package glob_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/splitvault/splitvault/pkg/glob"
)

func path(t *testing.T, text string) glob.Path {
	t.Helper()
	p, err := glob.ParsePath(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPathMatch(t *testing.T) {
	t.Parallel()
	for pattern, names := range map[string][2]string{
		"work/**":       {"work/x work/x/y work/**", "work workx/y other/work/x"},
		"work/*":        {"work/x work/-c", "work/x/y work"},
		"**":            {"x x/y x/y/z", ""},
		"*":             {"x", "x/y"},
		"**/x":          {"x a/x a/b/x", "xx a/x/b"},
		"a/**/b":        {"a/b a/x/b a/x/y/b", "a b a/x a/bb"},
		"shared/wifi":   {"shared/wifi", "shared/wifi2 shared"},
		"w?rk/*.com":    {"work/a.com wark/.com", "work/a/b.com w/rk/a.com"},
		"a/**/**/b":     {"a/b a/x/b a/x/y/z/b", "a/x"},
		"**/aws/**":     {"aws/x a/aws/x a/aws/b/x", "aws a/aws"},
		"disp/*-secret": {"disp/a-secret", "disp/a/b-secret"},
	} {
		p := path(t, pattern)
		for name := range strings.FieldsSeq(names[0]) {
			if !p.Match(name) {
				t.Errorf("%q does not match %q", pattern, name)
			}
		}
		for name := range strings.FieldsSeq(names[1]) {
			if p.Match(name) {
				t.Errorf("%q matches %q", pattern, name)
			}
		}
	}
}

func TestWhatIsNoPathPattern(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "/", "/a", "a/", "a//b", "a**", "work/**x", "***", "**/**/**/**/**"} {
		if p, err := glob.ParsePath(text); !errors.Is(err, glob.ErrPath) {
			t.Errorf("ParsePath(%q) = %v, %v", text, p, err)
		}
	}
}

// What covers says is what matching says; and what fits both is never missed.
func TestPathCoversAndMeetsAreNeverWrong(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	some := func(parts ...string) string {
		var text []string
		for range 1 + r.IntN(4) {
			text = append(text, parts[r.IntN(len(parts))])
		}
		return strings.Join(text, "/")
	}
	covered, met := 0, 0
	for range 20_000 {
		p, q := path(t, some("a", "b", "*", "**", "?")), path(t, some("a", "ab", "*", "**", "a*"))
		covers, meets := p.Covers(q), p.Meets(q)
		for range 10 {
			name := some("a", "b", "ab", "abc")
			inP, inQ := p.Match(name), q.Match(name)
			if covers && inQ && !inP {
				t.Fatalf("%v is said to cover %v, but not in %q", p, q, name)
			}
			if !meets && inP && inQ {
				t.Fatalf("%v and %v are said never to meet, but do in %q", p, q, name)
			}
			if covers && inQ {
				covered++
			}
			if meets && inP && inQ {
				met++
			}
		}
	}
	if covered < 1000 || met < 1000 {
		t.Errorf("only %d, %d cases", covered, met)
	}
}

func TestAPathPatternTakesNoTime(t *testing.T) {
	t.Parallel()
	if path(t, "**/a/**/a/**/a/**/b").Match(strings.Repeat("a/", 500) + "a") {
		t.Error("it matches")
	}
}
