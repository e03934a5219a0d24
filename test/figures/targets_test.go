package main

import (
	"strings"
	"testing"
)

func TestTargetsStandBesideWhatIsInReach(t *testing.T) {
	of := func(relay string, floor bool, p50, ratio float64) row {
		return row{Root: "trixie", Kind: "sign, open connection", Relay: relay, Floor: floor, P50: p50, P50Ratio: ratio}
	}
	f := figures{
		Requests: []row{
			of(oursName, false, 1.2, 0), of("seed", false, 1, 1.2), of(quietName, false, 0.8, 1.5), of("official", false, 0.9, 1.1),
			of(floorCopies, true, 0.9, 0), of(floorAgent, true, 0.5, 0), of(floorCareful, true, 0.6, 0),
			{Root: "trixie", Kind: "pass, list of 1000", Relay: oursName, P50: 3},
			{Root: "trixie", Kind: "pass, list of 1000", Relay: "scripts", P50: 10, P50Ratio: 0.3},
			{Root: "trixie", Kind: "pass, list of 20", Relay: oursName, P50: 1},
			{Root: "trixie", Kind: "pass, list of 20", Relay: "scripts", P50: 1, P50Ratio: 1},
		},
		Memory: []memoryRow{
			{Root: "trixie", State: "no call", Relay: oursName, PSS: map[string]float64{"ssh-relay": 1100, "x": 50}},
			{Root: "trixie", State: "no call", Relay: floorProgram, PSS: map[string]float64{"answerer": 700}},
		},
	}
	table := f.targetTable()
	for _, line := range []string{
		"| trixie | sign, open connection | " + quietName + " | 1.15 | 1.50 | missed | 1.25 | ",
		"| trixie | pass, list of 1000 | scripts | 0.35 | 0.30 | met | - | ",
		"| trixie | memory, no call | | 1200 KiB | 1150 KiB | met | 700 KiB | ",
	} {
		if !strings.Contains(table, line) {
			t.Errorf("no line %q in\n%s", line, table)
		}
	}
	if strings.Contains(table, "list of 20 ") {
		t.Errorf("what has no target has a line:\n%s", table)
	}
}

func TestFloorsAddUp(t *testing.T) {
	for _, row := range []struct {
		floors map[string]float64
		want   float64
	}{
		{nil, 0},
		{map[string]float64{floorCall: 9}, 9},
		{map[string]float64{floorCall: 9, floorGPG: 6}, 15},
		{map[string]float64{floorCall: 9, floorClef: 2}, 11},
		{map[string]float64{floorCopies: 20}, 20},
		{map[string]float64{floorCopies: 9, floorAgent: 5, floorCareful: 6}, 10},
	} {
		if got, _ := least(row.floors); got != row.want {
			t.Errorf("%v: least is %v, want %v", row.floors, got, row.want)
		}
	}
}
