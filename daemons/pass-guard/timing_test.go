package main_test

import (
	"slices"
	"testing"
	"time"
)

// BenchmarkForbiddenAndMissing measures whole calls for an entry that is there and forbidden, and
// for one that is not there: alternating, the median of each, and the difference beside what
// it is between two halves of the same kind. That both are one path through the program
// is what TestWhatIsDeniedTouchesNothing (package passguard) asserts.
//
//	go test ./daemons/pass-guard -run '^$' -bench ForbiddenAndMissing -benchtime 400x
func BenchmarkForbiddenAndMissing(b *testing.B) {
	v := full(b, "[[pass.rule]]\nqube = \"work\"\nentries = [\"work/**\"]\ndecision = \"allow\"\n")
	kinds := []string{"github.com", "gitbub.com", "github.com"}
	took := make([][]time.Duration, len(kinds))
	for first := 0; b.Loop(); first++ {
		for n := range kinds {
			i := (n + first) % len(kinds) // none is always the first
			begin := time.Now()
			c := v.call(b, "work", "pass.GetPassword", kinds[i])
			if got, code := c.finish(""); got != "" || code != 10 {
				b.Fatalf("%q, %d", got, code)
			}
			took[i] = append(took[i], time.Since(begin))
		}
	}
	median := func(d []time.Duration) float64 {
		slices.Sort(d)
		return float64(d[len(d)/2]) / 1000
	}
	forbidden, missing, again := median(took[0]), median(took[1]), median(took[2])
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(forbidden, "µs-forbidden")
	b.ReportMetric(missing-forbidden, "µs-difference")
	b.ReportMetric(again-forbidden, "µs-noise")
	b.ReportMetric(float64(took[0][len(took[0])*3/4]-took[0][len(took[0])/4])/1000, "µs-quartiles")
}
