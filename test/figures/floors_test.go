package main

import (
	"strings"
	"testing"
)

func TestAFloorStandsBesideWhatIsComparedWithIt(t *testing.T) {
	of := func(relay string, floor bool, p50, ratio float64) row {
		return row{Root: "trixie", Kind: "sign", Relay: relay, Floor: floor, P50: p50, P50Ratio: ratio}
	}
	f := figures{Requests: []row{
		of(oursName, false, 1.2, 0), of("seed", false, 1, 1.2), of(quietName, false, 0.8, 1.5), of("official", false, 0.9, 1.33),
		of(floorCopies, true, 0.9, 0), of(floorAgent, true, 0.5, 0), of(floorCareful, true, 0.6, 0),
		{Root: "trixie", Kind: "list", Relay: oursName, P50: 1},
		{Root: "trixie", Kind: "list", Relay: "seed", P50: 1},
	}}
	table := f.floorTable()
	if !strings.Contains(table, "| trixie | sign | 1.00 |") || !strings.Contains(table, "| 1.20 | "+quietName+" | 0.80 | 1.25 | 1.50 |") {
		t.Errorf("the line of the signature is wrong:\n%s", table)
	}
	if strings.Contains(table, "| list |") {
		t.Errorf("a kind without floor has a line:\n%s", table)
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
		{map[string]float64{floorCopies: 20}, 20},
		{map[string]float64{floorCopies: 9, floorAgent: 5, floorCareful: 6}, 10},
	} {
		if got, _ := least(row.floors); got != row.want {
			t.Errorf("%v: least is %v, want %v", row.floors, got, row.want)
		}
	}
}
