package main

import "testing"

func TestPercentile(t *testing.T) {
	for _, row := range []struct {
		name   string
		sorted []float64
		p      float64
		want   float64
	}{
		{"nothing succeeded", nil, 0.5, 0},
		{"one value", []float64{7}, 0.95, 7},
		{"median of an even number is the lower", []float64{1, 2, 3, 4}, 0.5, 2},
		{"of twenty, one is above the 95th", []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20}, 0.95, 19},
		{"the largest", []float64{1, 2, 3}, 1, 3},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := percentile(row.sorted, row.p); got != row.want {
				t.Errorf("got %v, want %v", got, row.want)
			}
		})
	}
}

func TestEachRelayIsFirstInTurn(t *testing.T) {
	first := map[string]int{}
	for round := range 2 * len(relays()) {
		order := turns(relays(), round)
		if len(order) != len(relays()) {
			t.Fatalf("round %d has %d relays", round, len(order))
		}
		first[order[0].name]++
	}
	for _, r := range relays() {
		if first[r.name] != 2 {
			t.Errorf("%s is first %d times of 2", r.name, first[r.name])
		}
	}
}

func TestOutputOfTheLoadProgram(t *testing.T) {
	var s sample
	if err := s.add("1500000\nfailed: EOF\nwall: 2000000\n2500000\n"); err != nil {
		t.Fatal(err)
	}
	if len(s.took) != 2 || s.took[1] != 2.5 || s.failed != 1 || len(s.wall) != 1 || s.wall[0] != 2 {
		t.Errorf("got %+v", s)
	}
	if err := s.add("nonsense\n"); err == nil {
		t.Error("nonsense is taken for a figure")
	}
}
