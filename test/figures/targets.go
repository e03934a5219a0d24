package main

import (
	"fmt"
	"strings"
)

// target is what splitvault's p50 divided by that of the relay it is compared with
// is to be at most; 0: none is set for this kind of request.
func target(kind string) float64 {
	switch kind {
	case "list, connection each":
		return 1
	case "sign, open connection":
		return 1.15
	case "account_list, connection each", "account_list, open connection":
		return 0.25
	case "pass, list of 1000":
		return 0.35
	case "pass, one entry":
		return 0.6
	default:
		return 0
	}
}

// targetPSS is how much memory a connection is to take at most, in KiB, and the
// floor that stands beside it.
func targetPSS(state string) (most float64, floor string) {
	switch state {
	case "call open":
		return 3000, floorPair
	case "no call":
		return 1200, floorProgram
	default:
		return 0, ""
	}
}

// targetTable sets the targets beside what was measured, and beside the least that
// is in reach.
func (f *figures) targetTable() string {
	var b strings.Builder
	b.WriteString("| root | what | against | target | measured | | least in reach | that is | processor time, ratio |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, rows := range f.kinds() {
		b.WriteString(ratioLine(rows))
	}
	for _, m := range f.Memory {
		b.WriteString(f.memoryLine(m))
	}
	return b.String()
}

// kinds are the requests by root and kind, in their order.
func (f *figures) kinds() [][]row {
	var all [][]row
	for _, r := range f.Requests {
		last := len(all) - 1
		if last < 0 || all[last][0].Root != r.Root || all[last][0].Kind != r.Kind {
			all = append(all, nil)
			last++
		}
		all[last] = append(all[last], r)
	}
	return all
}

// ratioLine is the line of one kind; "" if it has no target.
func ratioLine(rows []row) string {
	var ours, other row
	floors := map[string]float64{}
	for _, r := range rows {
		switch {
		case r.Floor:
			floors[r.Relay] = r.P50
		case r.Relay == oursName:
			ours = r
		case other.Relay == "" || r.Relay == quietName:
			other = r
		}
	}
	most := target(ours.Kind)
	if most == 0 {
		return ""
	}
	ms, sum := least(floors)
	return fmt.Sprintf("| %s | %s | %s | %.2f | %.2f | %s | %s | %s | %s |\n",
		ours.Root, ours.Kind, other.Relay, most, other.P50Ratio, met(other.P50Ratio > 0 && other.P50Ratio <= most), some("%.2f", ratio(ms, other.P50)), sum, some("%.2f", other.CPURatio))
}

func (f *figures) memoryLine(m memoryRow) string {
	most, floor := targetPSS(m.State)
	if most == 0 || m.Relay != oursName {
		return ""
	}
	reach := 0.0
	for _, other := range f.Memory {
		if other.Root == m.Root && other.State == m.State && other.Relay == floor {
			reach = other.sum()
		}
	}
	return fmt.Sprintf("| %s | memory, %s | | %.0f KiB | %.0f KiB | %s | %s | %s | |\n",
		m.Root, m.State, most, m.sum(), met(m.sum() <= most), some("%.0f KiB", reach), floor)
}

func met(yes bool) string {
	if yes {
		return "met"
	}
	return "missed"
}

// sum is the memory of all programs of a connection.
func (m memoryRow) sum() float64 {
	sum := 0.0
	for _, size := range m.PSS {
		sum += size
	}
	return sum
}
