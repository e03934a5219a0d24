package confinement

import (
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
)

const document = "../../docs/confinement.md"

var update = flag.Bool("update", false, "write the table of options into docs/confinement.md")

// TestEveryOptionOfAUnitHasAProbe: none that nobody has seen work.
func TestEveryOptionOfAUnitHasAProbe(t *testing.T) {
	for system, options := range map[bool][]Option{false: UserOptions(), true: SystemOptions()} {
		settings, err := Settings("../../units", system)
		if err != nil {
			t.Fatal(err)
		}
		for setting, names := range settings {
			if !slices.ContainsFunc(options, func(o Option) bool { return o.Setting == setting }) {
				t.Errorf("%s of %q has no probe here", setting, names)
			}
		}
		for _, o := range options {
			elsewhere := slices.ContainsFunc(forAll(), func(all Option) bool { return all.Setting == o.Setting })
			if len(settings[o.Setting]) == 0 && !elsewhere {
				t.Errorf("%s is in no unit", o.Setting)
			}
		}
	}
}

func TestTheDocumentHasTheOptions(t *testing.T) {
	const begin, end = "<!-- options: written by `go test ./test/confinement -run Document -update`, do not edit -->\n\n", "\n<!-- end of options -->"
	table, err := Table("../../units")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, begins := strings.Cut(string(text), begin)
	old, tail, ends := strings.Cut(rest, end)
	if !begins || !ends {
		t.Fatalf("%s has no place for the options", document)
	}
	if *update {
		if err := os.WriteFile(document, []byte(head+begin+table+end+tail), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if old != table {
		t.Errorf("%s does not have the options of the units: go test ./test/confinement -run Document -update", document)
	}
}
