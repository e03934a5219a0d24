package units

import (
	"os"
	"regexp"
	"testing"

	"github.com/splitvault/splitvault/pkg/rules"
)

// TestExampleRules: the shipped example allows nothing as it is, and is right
// once its settings are taken out of the comments.
func TestExampleRules(t *testing.T) {
	source, err := os.ReadFile(template + "/usr/share/doc/splitvault/examples/rules.toml")
	if err != nil {
		t.Fatal(err)
	}
	asItIs, err := rules.Parse("rules.toml", source)
	if err != nil {
		t.Fatal(err)
	}
	if len(asItIs.SSH.Rules) != 0 {
		t.Errorf("the example has %d rules in force", len(asItIs.SSH.Rules))
	}
	// "#" and a blank begin prose, "#" alone a setting.
	settings := regexp.MustCompile(`(?m)^#([^ \n])`).ReplaceAll(source, []byte("$1"))
	inForce, err := rules.Parse("rules.toml", settings)
	if err != nil {
		t.Fatal(err)
	}
	if len(inForce.SSH.Rules) != 5 || len(inForce.SSH.Agents) != 2 {
		t.Errorf("got %d rules and %d agents", len(inForce.SSH.Rules), len(inForce.SSH.Agents))
	}
	pass, err := rules.ParsePass("rules.toml", source)
	if err != nil || len(pass.Pass.Rules) != 0 {
		t.Errorf("the example has rules for pass in force: %+v, %v", pass, err)
	}
	if pass, err = rules.ParsePass("rules.toml", settings); err != nil || len(pass.Pass.Rules) != 4 || len(pass.Warnings) != 0 {
		t.Errorf("rules for pass: %+v, %v", pass, err)
	}
}
