// Command diagrams makes pictures of text: each docs/NAME.diagram, drawn with
// box characters, becomes docs/NAME.svg (just diagrams).
package main

import (
	"fmt"
	"html"
	"os"
	"path/filepath"
	"strings"
)

// A character cell, in the picture's units.
const (
	width  = 9
	height = 20
	border = 14
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: diagrams DIRECTORY")
		os.Exit(2)
	}
	if err := draw(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "diagrams:", err)
		os.Exit(1)
	}
}

func draw(dir string) error {
	paths, err := filepath.Glob(filepath.Join(dir, "*.diagram"))
	if err != nil {
		return err
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := os.WriteFile(strings.TrimSuffix(path, ".diagram")+".svg", []byte(picture(string(text))), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// arms are the directions in which a box character has a line: left, right, up, down.
var arms = map[rune][4]bool{
	'─': {true, true, false, false}, '│': {false, false, true, true},
	'┌': {false, true, false, true}, '┐': {true, false, false, true},
	'└': {false, true, true, false}, '┘': {true, false, true, false},
	'├': {false, true, true, true}, '┤': {true, false, true, true},
	'┬': {true, true, false, true}, '┴': {true, true, true, false}, '┼': {true, true, true, true},
}

// picture draws box characters as lines, arrow heads as triangles, and the rest as
// text; a word that begins with * is bold.
func picture(text string) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	columns := 0
	for _, line := range lines {
		columns = max(columns, len([]rune(line)))
	}
	w, h := columns*width+2*border, len(lines)*height+2*border
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img">`+"\n", w, h, w, h)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" rx="8" fill="#fbfbf9"/>`+"\n", w, h)
	b.WriteString(`<g font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="14" fill="#222" stroke-width="1.5">` + "\n")
	for row, line := range lines {
		cells := []rune(line)
		for column, c := range cells {
			stroke(&b, c, border+column*width, border+row*height)
		}
		words(&b, cells, border+row*height+15)
	}
	b.WriteString("</g>\n</svg>\n")
	return b.String()
}

func stroke(b *strings.Builder, c rune, x, y int) {
	midX, midY := float64(x)+width/2.0, float64(y)+height/2.0
	ends := [4][2]float64{{float64(x), midY}, {float64(x + width), midY}, {midX, float64(y)}, {midX, float64(y + height)}}
	for i, has := range arms[c] {
		if has {
			fmt.Fprintf(b, `<path d="M%g %gL%g %g" stroke="#667"/>`+"\n", midX, midY, ends[i][0], ends[i][1])
		}
	}
	const head = `<path d="M%g %gl%g %gl%g %gz" fill="#667"/>` + "\n"
	switch c {
	case '►':
		fmt.Fprintf(b, head, ends[1][0], midY, -9.0, -5.0, 0.0, 10.0)
	case '◄':
		fmt.Fprintf(b, head, ends[0][0], midY, 9.0, -5.0, 0.0, 10.0)
	case '▲':
		fmt.Fprintf(b, head, midX, float64(y)+4, -5.0, 9.0, 10.0, 0.0)
		fmt.Fprintf(b, `<path d="M%g %dV%d" stroke="#667"/>`+"\n", midX, y+12, y+height)
	case '▼':
		fmt.Fprintf(b, head, midX, float64(y+height)-4, -5.0, -9.0, 10.0, 0.0)
		fmt.Fprintf(b, `<path d="M%g %dV%d" stroke="#667"/>`+"\n", midX, y, y+8)
	}
}

func drawn(c rune) bool {
	_, isLine := arms[c]
	return isLine || strings.ContainsRune("►◄▲▼", c)
}

// words writes what stands between lines, one element for each run of cells.
func words(b *strings.Builder, cells []rune, baseline int) {
	for start := 0; start < len(cells); {
		if cells[start] == ' ' || drawn(cells[start]) {
			start++
			continue
		}
		end := start
		for end < len(cells) && !drawn(cells[end]) && (cells[end] != ' ' || end+1 < len(cells) && cells[end+1] != ' ' && !drawn(cells[end+1])) {
			end++
		}
		run, weight := string(cells[start:end]), ""
		if bold, ok := strings.CutPrefix(run, "*"); ok {
			run, weight = bold, ` font-weight="bold"`
		}
		fmt.Fprintf(b, `<text x="%d" y="%d"%s textLength="%d">%s</text>`+"\n",
			border+start*width, baseline, weight, len([]rune(run))*width, html.EscapeString(run))
		start = end
	}
}
