package rules

import (
	"errors"
	"fmt"
)

// Problem is one mistake in a rules file, or something in it that does not do
// what it looks like.
type Problem struct {
	Path string
	Line int // 0 if it concerns the whole file
	Text string
	Hint string // what to write instead, if Text does not say
	// Warning: the file is in force all the same, and nothing is allowed that it
	// does not say.
	Warning bool
}

// Error is the problem on one line, without saying whether it is a warning.
func (p Problem) Error() string {
	text := p.Text
	if p.Hint != "" {
		text += ": " + p.Hint
	}
	if p.Line == 0 {
		return p.Path + ": " + text
	}
	return fmt.Sprintf("%s:%d: %s", p.Path, p.Line, text)
}

// Problems takes the error of [Load] or [Parse] apart.
func Problems(err error) []Problem {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []Problem
		for _, e := range joined.Unwrap() {
			all = append(all, Problems(e)...)
		}
		return all
	}
	if p, ok := errors.AsType[Problem](err); ok {
		return []Problem{p}
	}
	return []Problem{{Text: err.Error()}}
}
