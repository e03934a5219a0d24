package faults

import (
	"cmp"
	"os"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/splitvault/splitvault/test/baseline"
	"github.com/splitvault/splitvault/test/qubes/bench"
	"github.com/splitvault/splitvault/test/qubes/bench/roots"
)

// plan is what a run does, in one pair of qubes for each root.
type plan struct {
	roots  []string
	faults []fault
	growth int           // requests of each kind
	soak   time.Duration // of random faults
	seed   uint64
}

// planned reads FAULTS ("all" or "clock", on all roots, or a pattern of names), GROWTH, SOAK, SOAK_SEED
// and ROOT. Without the first three it is the gate's run, which has some of each.
func planned(t *testing.T) plan {
	t.Helper()
	p := plan{roots: []string{cmp.Or(os.Getenv("ROOT"), "trixie")}, growth: 60, soak: 4 * time.Second, seed: uint64(time.Now().UnixNano())}
	var err error
	if text := os.Getenv("SOAK_SEED"); text != "" {
		p.seed, err = strconv.ParseUint(text, 10, 64)
		must(t, err)
	}
	names, growth, soak := os.Getenv("FAULTS"), os.Getenv("GROWTH"), os.Getenv("SOAK")
	if names+growth+soak == "" {
		p.faults = slices.DeleteFunc(faults(), func(f fault) bool { return !f.gate })
		return p
	}
	p.growth, p.soak = 0, 0
	if growth != "" {
		p.growth, err = strconv.Atoi(growth)
		must(t, err)
	}
	if soak != "" {
		p.soak, err = time.ParseDuration(soak)
		must(t, err)
	}
	switch names {
	case "":
	case "all":
		p.roots, p.faults = roots.Suites(), faults()
	case "clock":
		p.roots, p.faults = roots.Suites(), clockFaults()
	default:
		p.faults = slices.DeleteFunc(faults(), func(f fault) bool { return !regexp.MustCompile(names).MatchString(f.name) })
	}
	return p
}

func TestFaults(t *testing.T) {
	p := planned(t)
	kit := bench.Prepare(t)
	client, err := baseline.Program(t.Context(), "test/faults/client")
	must(t, err)
	for _, root := range p.roots {
		t.Run(root, func(t *testing.T) {
			w := newWorld(t, kit, root, client)
			w.settled(t)
			if p.faults != nil {
				w.matrix(t, p.faults)
			}
			if p.growth > 0 {
				t.Run("growth", func(t *testing.T) { w.growth(t, p.growth) })
			}
			if p.soak > 0 {
				t.Run("soak", func(t *testing.T) { w.soak(t, p.soak, p.seed) })
			}
		})
	}
}
