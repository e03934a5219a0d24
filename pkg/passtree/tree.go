// Package passtree draws the names of entries as pass does, and makes text fit for
// a terminal.
package passtree

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// node is a directory, an entry, or both under one name.
type node struct {
	children map[string]*node
	entry    bool
}

// Draw writes the names below title. With colour, directories are as pass has them.
func Draw(w io.Writer, title string, names []string, colour bool) error {
	root := &node{}
	for _, name := range names {
		at := root
		for part := range strings.SplitSeq(name, "/") {
			at = at.child(part)
		}
		at.entry = true
	}
	if _, err := fmt.Fprintln(w, Escape(title)); err != nil {
		return err
	}
	return root.draw(w, "", colour)
}

func (n *node) child(name string) *node {
	if n.children == nil {
		n.children = make(map[string]*node)
	}
	if n.children[name] == nil {
		n.children[name] = &node{}
	}
	return n.children[name]
}

// row is a line of the tree.
type row struct {
	name string
	dir  *node // nil for an entry
}

func (n *node) draw(w io.Writer, indent string, colour bool) error {
	var rows []row
	for name, child := range n.children {
		if child.children != nil {
			rows = append(rows, row{name, child})
		}
		if child.entry {
			rows = append(rows, row{name, nil})
		}
	}
	slices.SortFunc(rows, func(a, b row) int {
		if c := strings.Compare(a.name, b.name); c != 0 || a.dir == nil == (b.dir == nil) {
			return c
		}
		if a.dir != nil {
			return -1
		}
		return 1
	})
	for i, r := range rows {
		branch, below := "├── ", "│   "
		if i == len(rows)-1 {
			branch, below = "└── ", "    "
		}
		name := Escape(r.name)
		if r.dir != nil && colour {
			name = "\x1b[01;34m" + name + "\x1b[0m"
		}
		if _, err := fmt.Fprintln(w, indent+branch+name); err != nil {
			return err
		}
		if r.dir != nil {
			if err := r.dir.draw(w, indent+below, colour); err != nil {
				return err
			}
		}
	}
	return nil
}

// Escape writes what would move the cursor, turn the direction of writing or is no
// UTF-8 as \xNN, and all else as it is. For text of several lines, see [EscapeLines].
func Escape(untrusted string) string { return escape(untrusted, "") }

// EscapeLines is [Escape] that leaves line feeds and tabs.
func EscapeLines(untrusted string) string { return escape(untrusted, "\n\t") }

func escape(untrusted, keep string) string {
	var b strings.Builder
	for i := 0; i < len(untrusted); {
		r, size := utf8.DecodeRuneInString(untrusted[i:])
		if r == utf8.RuneError && size == 1 || !strings.ContainsRune(keep, r) && hidden(r) {
			for _, c := range []byte(untrusted[i : i+size]) {
				fmt.Fprintf(&b, `\x%02x`, c)
			}
		} else {
			b.WriteString(untrusted[i : i+size])
		}
		i += size
	}
	return b.String()
}

// hidden tells whether a character does something else than being seen. The two
// joiners are in Persian words and in pictures.
func hidden(r rune) bool {
	return r != '\u200c' && r != '\u200d' && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}
