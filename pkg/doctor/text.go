package doctor

import (
	"fmt"
	"io"
	"strings"
)

const column = 22 // where the text of a line begins

// WriteText writes the report for a person: a line per check, and below each
// that is not well what to type where.
func (r Report) WriteText(w io.Writer) error {
	var b strings.Builder
	for _, c := range r.Checks {
		status := c.Status.String()
		if c.Status == Problem {
			status = "PROBLEM"
		}
		text := strings.ReplaceAll(c.Text, "\n", "\n"+strings.Repeat(" ", column))
		fmt.Fprintf(&b, "%-8s %-12s %s\n", status, c.Check, text)
		for _, step := range c.Fix {
			fmt.Fprintf(&b, "%s[%s] %s\n", strings.Repeat(" ", column), step.Where, step.Do)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
