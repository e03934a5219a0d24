package doctor

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestText(t *testing.T) {
	report := Report{Checks: []Result{
		ok("qube", "this is work"),
		problem("service", "switched off\nin dom0", dom0("qvm-service %s splitvault-ssh on", "work")),
	}}
	var got strings.Builder
	if err := report.WriteText(&got); err != nil {
		t.Fatal(err)
	}
	want := `ok       qube         this is work
PROBLEM  service      switched off
                      in dom0
                      [dom0] qvm-service work splitvault-ssh on
`
	if got.String() != want {
		t.Errorf("got\n%s\nwant\n%s", got.String(), want)
	}
}

func TestJSON(t *testing.T) {
	report := Report{Qube: "work", Status: Problem, Checks: []Result{problem("service", "off", dom0("x"))}}
	got, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"qube":"work","status":"problem","checks":[{"check":"service","status":"problem","text":"off","fix":[{"where":"dom0","do":"x"}]}]}`
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestWorst: a report is as bad as its worst check, and no check means that
// nothing is known to be wrong.
func TestWorst(t *testing.T) {
	for _, row := range []struct {
		name   string
		checks []Status
		want   Status
		exit   int
	}{
		{"all well", []Status{OK, OK}, OK, 0},
		{"warning", []Status{OK, Warning, OK}, Warning, 0},
		{"cannot tell outweighs a warning", []Status{Warning, Unknown, Warning}, Unknown, 2},
		{"problem outweighs all", []Status{Unknown, Problem, Warning, OK}, Problem, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			var results []Result
			for _, s := range row.checks {
				results = append(results, Result{Check: "x", Status: s})
			}
			got := Report{Status: worst(results)}
			if got.Status != row.want || got.Exit() != row.exit {
				t.Errorf("got %v, exit %d", got.Status, got.Exit())
			}
		})
	}
}
