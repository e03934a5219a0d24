package units

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/splitvault/splitvault/test/qubes/policy"
)

// states are rendered Salt states: by file, by ID, by function, its arguments.
type states map[string]map[string]map[string][]map[string]any

// render renders dom0/salt/splitvault as Salt does on a machine.
func render(t *testing.T, dir, nodename, family string) states {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "python3", "testdata/render.py", dir, nodename, family)
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if strings.Contains(stderr.String(), "ModuleNotFoundError") && os.Getenv("CI") == "" {
		t.Skip("python3 has no jinja2 or no yaml (python3-jinja2, python3-yaml)")
	}
	if err != nil {
		t.Fatalf("%v: %s", err, &stderr)
	}
	var all states
	if err := json.Unmarshal(out, &all); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return all
}

// known are the functions that the states use and the arguments that they take:
// qubes-mgmt-salt-dom0-qvm README.rst, and salt's own documents.
var known = map[string][]string{
	"qvm.present":  {"name", "label", "template", "require"},
	"qvm.prefs":    {"name", "netvm", "require"},
	"qvm.service":  {"name", "enable", "require"},
	"qvm.tags":     {"name", "add"},
	"file.managed": {"name", "user", "group", "mode", "check_cmd", "contents"},
	"cmd.run":      {"name", "unless"},
}

const formula = root + "dom0/salt/splitvault"

func TestSaltStatesAreOfTheFormThatSaltTakes(t *testing.T) {
	for _, machine := range [][2]string{{"dom0", "RedHat"}, {"debian-13-xfce", "Debian"}, {"fedora-43-xfce", "RedHat"}} {
		for file, byID := range render(t, formula, machine[0], machine[1]) {
			// What is meant for a template must do nothing in dom0, and the other
			// way round, whoever applies it where.
			if forDom0 := file != "install.sls"; forDom0 != (machine[0] == "dom0") {
				if len(byID) != 0 {
					t.Errorf("%s does something on %s: %v", file, machine[0], byID)
				}
				continue
			}
			if len(byID) == 0 {
				t.Errorf("%s does nothing on %s", file, machine[0])
			}
			for id, functions := range byID {
				for function, args := range functions {
					for _, arg := range args {
						for key := range arg {
							if len(arg) != 1 || !slices.Contains(known[function], key) {
								t.Errorf("%s, %s: %s has no argument %v", file, id, function, arg)
							}
						}
					}
				}
			}
		}
	}
}

// contents is what a state writes to a file.
func contents(t *testing.T, dir string) string {
	t.Helper()
	for _, arg := range render(t, dir, "dom0", "RedHat")["policy.sls"]["splitvault-policy"]["file.managed"] {
		if text, ok := arg["contents"].(string); ok {
			return text
		}
	}
	t.Fatal("the state has no contents")
	return ""
}

func TestSaltsPolicyIsByTagAndRefusesTheRest(t *testing.T) {
	for action, want := range map[string]policy.Action{"ask": policy.Ask, "allow": policy.Allow} {
		copied := filepath.Join(t.TempDir(), "splitvault")
		if err := os.CopyFS(copied, os.DirFS(formula)); err != nil {
			t.Fatal(err)
		}
		settings, err := os.ReadFile(filepath.Join(copied, "map.jinja"))
		if err != nil {
			t.Fatal(err)
		}
		edited := strings.Replace(string(settings), "'policy': 'ask'", "'policy': '"+action+"'", 1)
		if err := os.WriteFile(filepath.Join(copied, "map.jinja"), []byte(edited), 0o600); err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "30-splitvault.policy"), []byte(contents(t, copied)), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, finding := range policy.Lint(dir) {
			t.Error(finding)
		}
		loaded, err := policy.Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		system := policy.System{Qubes: map[string]policy.Qube{
			"dom0": {Name: "dom0", Type: "AdminVM"}, "vault": {Name: "vault", Type: "AppVM", GuiVM: "dom0"},
			"work":  {Name: "work", Type: "AppVM", GuiVM: "dom0", Tags: []string{"splitvault-ssh"}},
			"other": {Name: "other", Type: "AppVM", GuiVM: "dom0"},
		}}
		for call, want := range map[[2]string]policy.Action{
			{"work", "qubes.Ssh"}: want, {"work", "qubes.Clefsign"}: policy.Deny, {"work", "pass.GetPassword"}: policy.Deny,
			{"other", "qubes.Ssh"}: policy.Deny, {"other", "pass.GetField"}: policy.Deny,
		} {
			got := loaded.Evaluate(system, policy.Request{Source: call[0], Target: "@default", Service: call[1], Argument: "+"})
			if got.Action != want || got.Notify && want == policy.Deny {
				t.Errorf("%s: %v: got %v, notify %t, want %v", action, call, got.Action, got.Notify, want)
			}
		}
	}
}
