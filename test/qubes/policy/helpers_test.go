package policy

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const vaultUUID = "2f4c3a1e-9d0b-4c55-8a6f-0123456789ab"

// vectorSystem is the machine on which the verdict vectors were taken.
func vectorSystem() System {
	return System{Qubes: map[string]Qube{
		"dom0":   {Type: "AdminVM", Running: true, GuiVM: "dom0"},
		"work":   {Type: "AppVM", Tags: []string{"ssh-client"}, DefaultDispVM: "dvm", Running: true, GuiVM: "dom0"},
		"vault":  {Type: "AppVM", UUID: vaultUUID, Tags: []string{"ssh-vault"}, GuiVM: "dom0"},
		"dvm":    {Type: "AppVM", Tags: []string{"x"}, DefaultDispVM: "dvm", TemplateForDispVMs: true, GuiVM: "dom0"},
		"disp12": {Type: "DispVM", Tags: []string{"disp-created-by-work"}, Running: true, GuiVM: "dom0"},
	}}
}

// writeDir makes a policy directory of NAME → content.
func writeDir(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// mustLoad loads rules for service svc, given without their first column.
func mustLoad(t *testing.T, rules ...string) *Policy {
	t.Helper()
	text := ""
	for _, r := range rules {
		text += "svc " + r + "\n"
	}
	p, err := Load(writeDir(t, map[string]string{"30-user.policy": text}))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// show writes a verdict the way the tables do: "allow vault user=root",
// "deny N" (with notification), "deny n", "ask {a b} preselects b".
func show(v Verdict) string {
	switch v.Action {
	case Allow:
		s := "allow " + v.Target
		if v.User != "" {
			s += " user=" + v.User
		}
		return s
	case Ask:
		s := fmt.Sprintf("ask {%s}", strings.Join(v.Choices, " "))
		if v.DefaultTarget != "" {
			s += " preselects " + v.DefaultTarget
		}
		return s
	default:
		if v.Notify {
			return "deny N"
		}
		return "deny n"
	}
}
