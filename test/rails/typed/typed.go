// Package typed reads out of a document what it tells people to type, and where.
package typed

import (
	"fmt"
	"regexp"
	"strings"
)

// Command is one thing to type, with the lines of its here-document.
type Command struct {
	Section string // the heading above it
	Qube    string // "work" of [user@work] $
	Text    string
	Line    int
}

var (
	prompt  = regexp.MustCompile(`^\[user@([a-z0-9-]+)\] \$ (.+)$`)
	heredoc = regexp.MustCompile(`<<'([A-Z]+)'$`)
)

// In returns the commands of a Markdown document, in its order. A line of a block
// that is neither after a prompt nor in a here-document is output, and skipped.
func In(document string) ([]Command, error) {
	var (
		all     []Command
		section string
		inBlock bool
		end     string // of the here-document that we are in
	)
	for i, line := range strings.Split(document, "\n") {
		switch m := prompt.FindStringSubmatch(line); {
		case strings.HasPrefix(line, "```"):
			if end != "" {
				return nil, fmt.Errorf("line %d: the block ends before %s", i+1, end)
			}
			inBlock = !inBlock
		case !inBlock && strings.HasPrefix(line, "#"):
			section = strings.TrimSpace(strings.TrimLeft(line, "#"))
		case end != "":
			all[len(all)-1].Text += "\n" + line
			if line == end {
				end = ""
			}
		case inBlock && m != nil:
			all = append(all, Command{section, m[1], m[2], i + 1})
			if h := heredoc.FindStringSubmatch(m[2]); h != nil {
				end = h[1]
			}
		}
	}
	return all, nil
}
