package units

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/splitvault/splitvault/pkg/dom0policy"
	"github.com/splitvault/splitvault/pkg/entryname"
	"github.com/splitvault/splitvault/test/qubes/policy"
)

// TestPrintedLinesMeanInDom0WhatTheySay: the lines of qpass policy, read as dom0
// reads them, above the project's own policy.
func TestPrintedLinesMeanInDom0WhatTheySay(t *testing.T) {
	t.Parallel()
	want := dom0policy.Want{
		Source: "work", Target: "vault", Allow: true, Verbs: []string{"field", "otp"}, Fields: []string{"password"},
		Entries: []string{"work/aws", "spaces/a  b c", "unicode/münchen 東京", "my_site", "a+b"},
	}
	lines, err := want.Lines()
	if err != nil {
		t.Fatal(err)
	}
	scope := dom0policy.Want{Source: "@tag:pass", Target: "vault", Verbs: []string{"list", "show"}, Entries: []string{"shared/"}}
	more, err := scope.Lines()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, dom0policy.File+".policy"), []byte(dom0policy.Advice(append(lines, more...))), 0o600); err != nil {
		t.Fatal(err)
	}
	own, err := os.ReadFile(root + "dom0/policy.d/80-splitvault.policy")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "80-splitvault.policy"), own, 0o600); err != nil {
		t.Fatal(err)
	}
	loaded, err := policy.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	qubes := policy.System{Qubes: map[string]policy.Qube{}}
	for _, name := range []string{"dom0", "work", "vault", "other", "tagged"} {
		qubes.Qubes[name] = policy.Qube{Name: name, Type: "AppVM", GuiVM: "dom0"}
	}
	tagged := qubes.Qubes["tagged"]
	tagged.Tags = []string{"pass"}
	qubes.Qubes["tagged"] = tagged
	field := func(name, field string) string {
		return "+" + entryname.Argument{Name: entryname.Name(name), Field: entryname.Field(field)}.String()
	}
	for _, tt := range []struct {
		source, target, service, argument string
		want                              policy.Action
	}{
		{"work", "@default", "pass.GetField", field("work/aws", "otp"), policy.Allow},
		{"work", "vault", "pass.GetField", field("work/aws", "password"), policy.Allow},
		{"work", "@default", "pass.GetField", field("unicode/münchen 東京", "otp"), policy.Allow},
		{"work", "@default", "pass.GetField", field("my_site", "password"), policy.Allow},
		{"work", "@default", "pass.GetField", field("work/aws", "login"), policy.Deny},
		{"work", "@default", "pass.GetField", field("work/aws2", "otp"), policy.Deny},
		{"work", "@default", "pass.GetField", "+", policy.Deny},
		{"work", "@default", "pass.GetPassword", "+work+aws", policy.Deny},
		{"other", "@default", "pass.GetField", field("work/aws", "otp"), policy.Deny},
		{"tagged", "@default", "pass.GetPassword", "+shared+", policy.Ask},
		{"tagged", "@default", "pass.ListPasswords", "+shared+", policy.Ask},
		{"tagged", "@default", "pass.ListPasswords", "+", policy.Deny},
		{"work", "@default", "pass.GetPassword", "+shared+", policy.Deny},
	} {
		got := loaded.Evaluate(qubes, policy.Request{Source: tt.source, Target: tt.target, Service: tt.service, Argument: tt.argument})
		if got.Action != tt.want {
			t.Errorf("%s calls %s%s in %s: %v, want %v", tt.source, tt.service, strings.TrimSpace(tt.argument), tt.target, got.Action, tt.want)
		}
	}
}
