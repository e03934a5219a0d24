// Package glob matches texts with patterns, and patterns with each other.
package glob

import "strings"

// Pattern is a text in which "*" stands for any text, also none, and "?" for
// one byte. Nothing else is special, "/" is a byte like any other.
type Pattern string

// Match tells whether the whole of s fits.
func (p Pattern) Match(s string) bool {
	pattern, star, mark := 0, -1, 0
	for i := 0; i < len(s); {
		switch {
		case pattern < len(p) && p[pattern] == '*':
			star, mark = pattern, i
			pattern++
		case pattern < len(p) && (p[pattern] == '?' || p[pattern] == s[i]):
			pattern++
			i++
		case star >= 0: // let the last star take one byte more
			mark++
			i, pattern = mark, star+1
		default:
			return false
		}
	}
	return strings.Trim(string(p[pattern:]), "*") == ""
}

// Covers tells whether every text that fits other fits p. It may miss a few
// that are written in an odd way ("?*" and "*?"), and is never wrong otherwise:
// other is matched like a text in which "*" fits only "*", and "?" not a letter.
func (p Pattern) Covers(other Pattern) bool {
	pattern, star, mark := 0, -1, 0
	for i := 0; i < len(other); {
		switch {
		case pattern < len(p) && p[pattern] == '*':
			star, mark = pattern, i
			pattern++
		case pattern < len(p) && other[i] != '*' && (p[pattern] == '?' || p[pattern] == other[i]):
			pattern++
			i++
		case star >= 0:
			mark++
			i, pattern = mark, star+1
		default:
			return false
		}
	}
	return strings.Trim(string(p[pattern:]), "*") == ""
}

// Meets tells whether some text fits both. row[j] says so for what is left of p
// and other[j:].
func (p Pattern) Meets(other Pattern) bool {
	row := make([]bool, len(other)+1)
	row[len(other)] = true
	for j := len(other) - 1; j >= 0; j-- {
		row[j] = row[j+1] && other[j] == '*'
	}
	for i := len(p) - 1; i >= 0; i-- {
		below := row
		row = make([]bool, len(other)+1)
		row[len(other)] = p[i] == '*' && below[len(other)]
		for j := len(other) - 1; j >= 0; j-- {
			switch {
			case p[i] == '*' || other[j] == '*':
				// Either star stands for nothing, or takes what the other has next.
				row[j] = below[j] || row[j+1]
			case p[i] == '?' || other[j] == '?' || p[i] == other[j]:
				row[j] = below[j+1]
			}
		}
	}
	return row[0]
}
