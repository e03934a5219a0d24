package consent

import "strings"

// width is how many characters a dialog shows in a row: long words do not wrap
// by themselves, and a window that is wider than the screen hides its buttons.
const width = 60

// MaxRows is how many rows of a dialog are filled: a window that is higher than the
// screen hides its buttons, too.
const MaxRows = 32

// Wrap breaks a text into the rows of a dialog.
func Wrap(text string) string {
	var b strings.Builder
	for len(text) > width {
		cut := strings.LastIndexByte(text[:width], ' ') + 1
		if cut < width/2 {
			cut = width
		}
		b.WriteString(strings.TrimRight(text[:cut], " "))
		b.WriteString("\n    ")
		text = text[cut:]
	}
	b.WriteString(text)
	return b.String()
}

// rows is how many rows a line takes.
func (l Line) rows() int {
	text := l.Text
	if l.Label != "" {
		text = l.Label + ": " + text
	}
	if l.Claimed {
		text += strings.Repeat(".", len(`"" (so says the qube)`))
	}
	return strings.Count(Wrap(text), "\n") + 1
}

// Head returns the longest beginning of a text that needs no more than room bytes
// as [Printable] writes it.
func Head(untrusted string, room int) string {
	for i := range len(untrusted) {
		if room -= printed(untrusted[i]); room < 0 {
			return untrusted[:i]
		}
	}
	return untrusted
}

// Tail returns the longest end of a text, as Head does its beginning.
func Tail(untrusted string, room int) string {
	for i := len(untrusted); i > 0; i-- {
		if room -= printed(untrusted[i-1]); room < 0 {
			return untrusted[i:]
		}
	}
	return untrusted
}

// printed is how many bytes Printable makes of one.
func printed(c byte) int {
	switch {
	case c == '\\':
		return len(`\\`)
	case unprintable(rune(c)):
		return len(`\xNN`)
	default:
		return 1
	}
}
