package clefguard

import (
	"fmt"
	"slices"
	"strings"

	"github.com/splitvault/splitvault/pkg/clefapi"
	"github.com/splitvault/splitvault/pkg/consent"
	"github.com/splitvault/splitvault/pkg/eth"
)

// fields shows values of a message in so many lines, those of one structure in one
// line where they fit. Amounts that bound nothing come first.
func fields(all []clefapi.Field, room int) []consent.Line {
	worst := slices.DeleteFunc(slices.Clone(all), func(f clefapi.Field) bool { return !boundless(f) })
	lines, counts := joined(append(worst, slices.DeleteFunc(slices.Clone(all), boundless)...))
	if len(lines) <= room {
		return lines
	}
	shown := 0
	for _, n := range counts[:room-1] {
		shown += n
	}
	text := fmt.Sprintf("and %d more, NOT SHOWN", len(all)-shown)
	if hidden := len(worst) - shown; hidden > 0 {
		text += fmt.Sprintf(", %d of them UNLIMITED", hidden)
	}
	return append(lines[:room-1:room-1], consent.Line{Label: "Field", Text: text})
}

const unlimited = "UNLIMITED: "

// boundless tells whether a field is an amount, by its name, that bounds nothing.
func boundless(f clefapi.Field) bool {
	_, own := f.Within()
	own, _, _ = strings.Cut(strings.ToLower(own), "[")
	named := strings.HasSuffix(own, "amount") || strings.HasSuffix(own, "value") || own == "wad" || own == "allowance"
	return f.Number != nil && named && eth.Boundless(f.Number, f.Bits())
}

// joined writes fields into lines, and how many there are in each.
func joined(all []clefapi.Field) (lines []consent.Line, counts []int) {
	before := ""
	for _, f := range all {
		within, own := f.Within()
		if isFreeText(f) {
			lines, counts = append(lines, freeText(f)), append(counts, 1)
			before = ""
			continue
		}
		value := f.Value
		if f.Number != nil {
			value = number(f)
		}
		if last := len(lines) - 1; within != "" && within == before && len(lines[last].Text)+len(own)+len(value)+4 <= perLine {
			lines[last].Text += ", " + own + ": " + value
			counts[last]++
			continue
		}
		lines, counts = append(lines, consent.Line{Label: "Field", Text: shortName(f.Name) + ": " + value}), append(counts, 1)
		before = within
	}
	return lines, counts
}

// number marks what is as large as its type allows.
func number(f clefapi.Field) string {
	text := f.Value
	if name := eth.PowerName(f.Number); name != "" {
		text += " (" + name + ")"
	}
	if boundless(f) {
		return unlimited + text
	}
	return text
}

// isFreeText tells whether a client could choose each letter of it: it stands on a
// line of its own, under a label that no other field has.
func isFreeText(f clefapi.Field) bool {
	switch {
	case f.Kind == "address" || f.Kind == "bool" || f.Number != nil || strings.HasSuffix(f.Kind, "[]"):
		return false
	default: // of bytes, those of a hash are as good as a number
		b, err := eth.ParseData(f.Value)
		return err != nil || len(b) > 32 || f.Kind == "string"
	}
}

func freeText(f clefapi.Field) consent.Line {
	name := shortName(f.Name) + ": "
	head := consent.Head(f.Value, perLine-len(name))
	if head == f.Value {
		return consent.Line{Label: "Field (text)", Text: name + head}
	}
	more := func(shown int) string { return fmt.Sprintf(" (and %d bytes NOT SHOWN)", len(f.Value)-shown) }
	head = consent.Head(f.Value, perLine-len(name)-len(more(0)))
	return consent.Line{Label: "Field (text)", Text: name + head + more(len(head))}
}

// shortName leaves room for the value beside the name, whatever a type calls it.
func shortName(name string) string {
	const most = 60
	if len(name) <= most {
		return name
	}
	return name[:most/2] + "..." + name[len(name)-most/2+3:]
}
