package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

const picture = "performance.svg"

// readFigures reads what -json has written.
func readFigures(path string) (*figures, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	f := &figures{}
	if err := json.Unmarshal(text, f); err != nil {
		return nil, fmt.Errorf("reading the figures in %q: %w", path, err)
	}
	return f, nil
}

// document writes the tables into DIR/performance.md and the picture beside it.
// What was not measured stays as it is.
func (f *figures) document(dir string) error {
	if len(f.Crowd) > 0 {
		if err := place(dir, "performance.md", "crowd", f.crowdTables()); err != nil {
			return err
		}
	}
	if len(f.Costs) > 0 {
		if err := place(dir, "confinement.md", "costs", f.costTables()); err != nil {
			return err
		}
	}
	if len(f.Requests) == 0 {
		return nil
	}
	if err := place(dir, "performance.md", "figures", f.tables()); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, picture), []byte(f.waterfall()), 0o644)
}

func (f *figures) tables() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Taken %s on %s. Load of the machine before %s, after %s; %d requests for each relay and kind.\n",
		f.Time.Format("2006-01-02"), f.Machine, f.LoadBefore, f.LoadAfter, f.N)
	b.WriteString("\n" + f.targetTable())
	b.WriteString("\n| root | what | relay | failed | p50 ms | p95 ms | CPU ms | processes and threads | splitvault / it, p50 |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, r := range f.Requests {
		if r.Floor {
			continue
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %d | %.2f | %.2f | %.2f | %.1f | %s |\n", r.Root, r.Kind, r.Relay, r.Failed, r.P50, r.P95, r.CPU, r.Tasks, some("%.2f", r.P50Ratio))
	}
	b.WriteString("\nWhat cannot be had for less, measured in turns with the above:\n\n| root | what | floor | p50 ms | p95 ms | CPU ms |\n|---|---|---|---|---|---|\n")
	for _, r := range f.Requests {
		if r.Floor {
			fmt.Fprintf(&b, "| %s | %s | %s | %.2f | %.2f | %.2f |\n", r.Root, r.Kind, r.Relay, r.P50, r.P95, r.CPU)
		}
	}
	fmt.Fprintf(&b, "\n![where the time of a list goes](%s)\n\n| root | up to and with | p50 ms | CPU ms | processes and threads |\n|---|---|---|---|---|\n", picture)
	for _, r := range f.Stages {
		fmt.Fprintf(&b, "| %s | %s | %.2f | %.2f | %.1f |\n", r.Root, r.Relay, r.P50, r.CPU, r.Tasks)
	}
	b.WriteString("\n| root | connection held | relay | open calls | PSS KiB for each connection |\n|---|---|---|---|---|\n")
	for _, m := range f.Memory {
		fmt.Fprintf(&b, "| %s | %s | %s | %d | %.0f |\n", m.Root, m.State, m.Relay, m.Calls, m.sum())
	}
	b.WriteString("\n| root | boot | p50 ms | max ms |\n|---|---|---|---|\n")
	for _, r := range f.Boots {
		fmt.Fprintf(&b, "| %s | %s | %.0f | %.0f |\n", r.Root, r.What, r.P50, r.Max)
	}
	return b.String()
}

// Sizes of the picture, in pixels.
const (
	barLeft, barHeight, barGap, barWidth = 220, 18, 6, 520
)

// waterfall draws the stages, each bar from where the one below ended.
func (f *figures) waterfall() string {
	longest := 1.0
	for _, r := range f.Stages {
		longest = max(longest, r.P50)
	}
	scale := barWidth / longest
	height := (len(f.Stages) + 1) * (barHeight + barGap)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">`+"\n", barLeft+barWidth+90, height)
	b.WriteString(`<rect width="100%" height="100%" fill="white"/>` + "\n")
	for i, r := range f.Stages {
		begin := 0.0
		if below := i - 1; r.isRung() && below >= 0 && f.Stages[below].isRung() && f.Stages[below].Root == r.Root {
			begin = min(f.Stages[below].P50, r.P50)
		}
		fill, y := "#4878a8", barGap+i*(barHeight+barGap)
		if !r.isRung() {
			fill = "#a8a8a8"
		}
		fmt.Fprintf(&b, `<text x="4" y="%d">%s, %s</text><rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s"/><text x="%.1f" y="%d">%.1f ms</text>`+"\n",
			y+13, r.Root, r.Relay, barLeft+begin*scale, y, max(1, (r.P50-begin)*scale), barHeight, fill, barLeft+r.P50*scale+4, y+13, r.P50)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// isRung tells a stage of the ladder from what stands beside it.
func (r row) isRung() bool {
	for _, rung := range rungs() {
		if rung.name == r.Relay {
			return true
		}
	}
	return false
}

// thisMachine says where figures were taken.
func thisMachine() string {
	model := "unknown processor"
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if _, rest, found := strings.Cut(string(text), "model name"); found {
			line, _, _ := strings.Cut(rest, "\n")
			model = strings.TrimSpace(strings.TrimLeft(line, "\t :"))
		}
	}
	kernel := "unknown"
	if text, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		kernel, _, _ = strings.Cut(strings.TrimSpace(string(text)), "-")
	}
	return fmt.Sprintf("%d processors (%s), Linux %s, %s", runtime.NumCPU(), model, kernel, runtime.Version())
}
