package dom0policy_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/splitvault/splitvault/pkg/dom0policy"
)

func lines(t *testing.T, w dom0policy.Want) string {
	t.Helper()
	got, err := w.Lines()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, line := range got {
		all = append(all, line.String())
	}
	return strings.Join(all, "\n")
}

func TestLines(t *testing.T) {
	t.Parallel()
	for want, w := range map[string]dom0policy.Want{
		"pass.GetField +work+a_40b__password work @anyvm ask target=vault default_target=vault\n" +
			"pass.GetField +work+a_40b__login work @anyvm ask target=vault default_target=vault": {
			Source: "work", Target: "vault", Verbs: []string{"field"}, Fields: []string{"password", "User"}, Entries: []string{"work/a@b"},
		},
		"pass.ListPasswords +work+ @tag:pass @anyvm allow target=v": {
			Source: "@tag:pass", Target: "v", Allow: true, Verbs: []string{"list"}, Entries: []string{"work/"},
		},
		"pass.GetField +a__otp q @anyvm ask target=v default_target=v\n" +
			"pass.GetPassword +a q @anyvm ask target=v default_target=v\n" +
			"pass.InsertPassword +a q @anyvm ask target=v default_target=v\n" +
			"pass.GeneratePassword +a q @anyvm ask target=v default_target=v": {
			Source: "q", Target: "v", Verbs: []string{"otp", "show", "insert", "generate"}, Entries: []string{"a"},
		},
		"pass.FindLogin +example.com_3A8443 q @anyvm ask target=v default_target=v": {
			Source: "q", Target: "v", Verbs: []string{"find"}, Entries: []string{"example.com:8443", "example.com:8443"},
		},
		"pass.GetField +work+ q @anyvm ask target=v default_target=v": {
			Source: "q", Target: "v", Verbs: []string{"field", "otp"}, Fields: []string{"login"}, Entries: []string{"work/"},
		},
		"pass.ListPasswords * q @anyvm ask target=v default_target=v": {Source: "q", Target: "v", Verbs: []string{"list"}},
	} {
		if got := lines(t, w); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	}
}

func TestWhatNoLineCanSay(t *testing.T) {
	t.Parallel()
	good := dom0policy.Want{Source: "q", Target: "v", Verbs: []string{"field"}, Fields: []string{"login"}, Entries: []string{"a"}}
	for what, change := range map[string]func(w *dom0policy.Want){
		"everyone":                  func(w *dom0policy.Want) { w.Source = "@anyvm" },
		"two words":                 func(w *dom0policy.Want) { w.Source = "a b" },
		"a line of its own":         func(w *dom0policy.Want) { w.Source = "q\npass.GetPassword * @anyvm @anyvm allow" },
		"a tag that is none":        func(w *dom0policy.Want) { w.Source = "@tag:" },
		"no vault":                  func(w *dom0policy.Want) { w.Target = "@default" },
		"an unknown verb":           func(w *dom0policy.Want) { w.Verbs = []string{"delete"} },
		"another path":              func(w *dom0policy.Want) { w.Entries = []string{"./a"} },
		"a field that is none":      func(w *dom0policy.Want) { w.Fields = []string{"a:b"} },
		"a list of an entry":        func(w *dom0policy.Want) { w.Verbs = []string{"list"} },
		"a directory as new entry":  func(w *dom0policy.Want) { w.Verbs, w.Entries = []string{"insert"}, []string{"a/"} },
		"a name too long for calls": func(w *dom0policy.Want) { w.Entries = []string{strings.Repeat("a", 250)} },
	} {
		w := good
		change(&w)
		if got, err := w.Lines(); err == nil {
			t.Errorf("%s: got %q", what, got)
		}
	}
	w := good
	w.Verbs = []string{"list"}
	if _, err := w.Lines(); !errors.Is(err, dom0policy.ErrWant) {
		t.Errorf("got %v", err)
	}
}
