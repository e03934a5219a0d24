// Package rate counts how often a rule let something happen, over all the
// short-lived processes of one user: at most N times in any second, minute or
// hour.
//
// The count is a file of time stamps that is only appended to, under flock(2).
// So a process that has confined itself since it opened the file needs no more
// than to read, write and lock what is open.
package rate

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// MaxCount bounds a limit, and with it what is read for one decision.
const MaxCount = 10_000

// Limit is "at most Count times in any Per". The zero Limit is none.
type Limit struct {
	Count int           // 1 to MaxCount
	Per   time.Duration // a second, a minute or an hour
}

// UnmarshalText accepts "30/min", "5/h" and "2/s".
func (l *Limit) UnmarshalText(text []byte) error {
	number, unit, _ := strings.Cut(string(text), "/")
	per, ok := period(unit)
	if !ok || strings.Trim(number, "0123456789") != "" {
		return fmt.Errorf("%q is no rate: write \"30/min\", \"5/h\" or \"2/s\"", text)
	}
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 || n > MaxCount {
		return fmt.Errorf("%q is no rate: the number is 1 to %d (to refuse all, write decision = \"deny\")", text, MaxCount)
	}
	*l = Limit{Count: n, Per: per}
	return nil
}

func period(unit string) (time.Duration, bool) {
	switch unit {
	case "s":
		return time.Second, true
	case "min":
		return time.Minute, true
	case "h":
		return time.Hour, true
	default:
		return 0, false
	}
}

// String returns the limit as it is written in a rule, "" for none.
func (l Limit) String() string {
	switch l.Per {
	case time.Second:
		return fmt.Sprintf("%d/s", l.Count)
	case time.Minute:
		return fmt.Sprintf("%d/min", l.Count)
	case time.Hour:
		return fmt.Sprintf("%d/h", l.Count)
	default:
		return ""
	}
}
