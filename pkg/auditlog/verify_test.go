package auditlog_test

import (
	"bytes"
	"crypto/sha256"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/splitvault/splitvault/pkg/audit"
	"github.com/splitvault/splitvault/pkg/auditlog"
)

func hash(b []byte) audit.Hash { return sha256.Sum256(b) }

func replace(n int, old, text string) func([][]byte) [][]byte {
	return func(lines [][]byte) [][]byte {
		lines[n] = bytes.Replace(lines[n], []byte(old), []byte(text), 1)
		return lines
	}
}

// A log of 250 lines, of which the journal knows 1, 100 and 200.
func TestEachTamperingShowsAsFarAsTheAnchorsProve(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		change func(lines [][]byte) [][]byte
		exit   int
		says   string // part of a problem
	}{
		{"nothing", func(l [][]byte) [][]byte { return l }, 0, ""},
		{"a qube's name", replace(49, `"work"`, `"play"`), 1, "audit.jsonl:51: line 51 does not fit"},
		{"a time", replace(49, `T03:`, `T04:`), 1, "does not fit"},
		{"a line taken out", func(l [][]byte) [][]byte { return slices.Delete(l, 49, 50) }, 1, "lines 50 to 50 are missing"},
		{"a line twice", func(l [][]byte) [][]byte { return slices.Insert(l, 49, l[49]) }, 1, "line 50 after line 50"},
		{"two lines swapped", func(l [][]byte) [][]byte { l[49], l[50] = l[50], l[49]; return l }, 1, "line 50 after line 51"},
		{"a line no longer a line", replace(49, `{`, `[`), 1, "audit.jsonl:50: the line was damaged"},
		{"an empty line put in", func(l [][]byte) [][]byte { return slices.Insert(l, 49, nil) }, 1, "damaged"},
		{"a damage that is said to be one", func(l [][]byte) [][]byte { return slices.Insert(l, 49, []byte("x")) }, 1, "damaged"},
		{"the end cut off, with an anchor", func(l [][]byte) [][]byte { return l[:180] }, 1, "line 200, of which the journal knows"},
		{"the beginning cut off", func(l [][]byte) [][]byte { return l[120:] }, 1, "begins with line 121"},
		{"all rewritten with new hashes", func(l [][]byte) [][]byte { return rechain(t, replace(49, `"work"`, `"play"`)(l)) }, 1, "line 100 is not the one"},
		{"a line taken out and all rewritten", func(l [][]byte) [][]byte { return rechain(t, slices.Delete(l, 49, 50)) }, 1, "line 100 is not the one"},
		{"all gone but one", func(l [][]byte) [][]byte { return l[:1] }, 1, "line 100, of which"},
		{"begun anew", func(l [][]byte) [][]byte {
			first, _ := audit.Parse(l[0])
			first.Daemon = "pass-guard"
			return [][]byte{first.Encode()}
		}, 1, "line 1 is not the one"},
		{"changed behind the anchors", replace(229, `"work"`, `"play"`), 1, "line 231 does not fit"},
		// The two that cannot be found, which the report has to say.
		{"cut off behind the last anchor", func(l [][]byte) [][]byte { return l[:210] }, 0, ""},
		{"rewritten behind the last anchor", func(l [][]byte) [][]byte { return rechain(t, replace(229, `"work"`, `"play"`)(l)) }, 0, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			v := newVault(t)
			v.call(t, 0, 249)
			if len(v.anchors) != 3 {
				t.Fatalf("anchors %v", v.anchors)
			}
			v.edit(t, 0, row.change)
			verdict := v.verify(t)
			var text strings.Builder
			if err := verdict.WriteText(&text); err != nil {
				t.Fatal(err)
			}
			if verdict.Exit() != row.exit || !strings.Contains(text.String(), row.says) {
				t.Errorf("exit %d\n%s", verdict.Exit(), &text)
			}
			if row.exit == 0 && !strings.Contains(text.String(), "lines 1 to 200 are as they were written") {
				t.Errorf("%s", &text)
			}
		})
	}
}

func TestTamperingWithRotatedFiles(t *testing.T) {
	t.Parallel()
	for name, tamper := range map[string]func(v *vault) error{
		"":                 func(*vault) error { return nil },
		"oldest removed":   func(v *vault) error { return os.Remove(audit.Path(v.state(), 4)) },
		"one removed":      func(v *vault) error { return os.Remove(audit.Path(v.state(), 2)) },
		"newest removed":   func(v *vault) error { return os.Remove(audit.Path(v.state(), 0)) },
		"one emptied":      func(v *vault) error { return os.Truncate(audit.Path(v.state(), 2), 0) },
		"one cut":          func(v *vault) error { return os.Truncate(audit.Path(v.state(), 2), 1000) },
		"newest emptied":   func(v *vault) error { return os.Truncate(audit.Path(v.state(), 0), 0) },
		"an edit in one":   func(v *vault) error { v.edit(t, 3, replace(4, `"work"`, `"play"`)); return nil },
		"a first line":     func(v *vault) error { v.edit(t, 3, replace(0, `"ssh-guard"`, `"ssh-relay"`)); return nil },
		"the last line":    func(v *vault) error { v.edit(t, 3, replace(-1, "", "")); return nil },
		"one twice":        func(v *vault) error { return link(v, 3, 2) },
		"two names traded": func(v *vault) error { return trade(v, 2, 3) },
	} {
		if name == "the last line" {
			tamper = func(v *vault) error {
				v.edit(t, 3, func(l [][]byte) [][]byte { return replace(len(l)-1, `"work"`, `"play"`)(l) })
				return nil
			}
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newVault(t)
			for range 8 {
				v.call(t, 20_000, 110)
			}
			if err := tamper(v); err != nil {
				t.Fatal(err)
			}
			verdict := v.verify(t)
			want := 1
			if name == "" {
				want = 0
			}
			if verdict.Exit() != want {
				t.Errorf("exit %d: %+v", verdict.Exit(), verdict)
			}
			if want == 0 && (verdict.Files != 5 || verdict.First == 1) {
				t.Errorf("nothing was rotated away: %+v", verdict)
			}
		})
	}
}

func link(v *vault, from, to int) error {
	content, err := os.ReadFile(audit.Path(v.state(), from))
	if err != nil {
		return err
	}
	return os.WriteFile(audit.Path(v.state(), to), content, 0o600)
}

func trade(v *vault, a, b int) error {
	spare := audit.Path(v.state(), 9)
	for _, step := range [][2]string{{audit.Path(v.state(), a), spare}, {audit.Path(v.state(), b), audit.Path(v.state(), a)}, {spare, audit.Path(v.state(), b)}} {
		if err := os.Rename(step[0], step[1]); err != nil {
			return err
		}
	}
	return nil
}

func TestWithoutAnAnchorNothingIsProven(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	v.call(t, 0, 20)
	v.anchors = nil
	var text strings.Builder
	verdict := v.verify(t)
	if err := verdict.WriteText(&text); err != nil || verdict.Exit() != 2 || !strings.Contains(text.String(), "More cannot be said") {
		t.Errorf("exit %d, %v\n%s", verdict.Exit(), err, &text)
	}
}

// Anchors of lines that were rotated away are no problem; forged ones are.
func TestAnchorsThatDoNotFit(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	for range 8 {
		v.call(t, 20_000, 110)
	}
	if verdict := v.verify(t); verdict.Exit() != 0 || verdict.Anchors == len(v.anchors) {
		t.Errorf("%+v", verdict)
	}
	v.anchors = append(v.anchors, auditlog.Anchor{Seq: 800, Hash: strings.Repeat("0", 64), Time: v.now})
	if verdict := v.verify(t); verdict.Exit() != 1 {
		t.Errorf("%+v", verdict)
	}
}

// FuzzVerify: no content makes the reader panic or loop, and one byte changed
// before an anchor never stays unseen.
func FuzzVerify(f *testing.F) {
	v := newVault(f)
	v.call(f, 0, 120)
	files, _, err := auditlog.Load(v.state())
	if err != nil {
		f.Fatal(err)
	}
	content := files[0].Content
	limit := bytes.Index(content, []byte(`"seq":101,`)) - len(`{"time":"2026-11-22T03:15:00.123456Z",`)
	f.Add(10, byte('x'), []byte("garbage\n\n{\"time\":"))
	f.Fuzz(func(t *testing.T, at int, b byte, garbage []byte) {
		auditlog.Verify([]auditlog.File{{Name: "a", Content: garbage}, {Name: "b", Content: content}}, v.anchors)
		auditlog.Verify([]auditlog.File{{Name: "b", Content: content}, {Name: "c", Content: garbage}}, v.anchors)
		if at < 0 || at >= limit || content[at] == b {
			return
		}
		changed := bytes.Clone(content)
		changed[at] = b
		if len(auditlog.Verify([]auditlog.File{{Name: "a", Content: changed}}, v.anchors).Problems) == 0 {
			t.Errorf("byte %d as %q does not show", at, b)
		}
	})
}
