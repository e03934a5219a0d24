package rules

import (
	"fmt"
	"strings"
	"time"
)

// Remember is how long a person's yes may last, in rules.toml "90s", "5m", "8h",
// or "0s" for once.
type Remember time.Duration

const (
	// defaultRemember is for rules without remember in a file without one.
	defaultRemember = Remember(5 * time.Minute)
	// maxRemember: what a person allows ends with the vault's session anyway.
	maxRemember = Remember(24 * time.Hour)
)

// UnmarshalText accepts whole seconds, minutes and hours up to a day.
func (r *Remember) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	if err != nil || d < 0 || d%time.Second != 0 || strings.ContainsAny(string(text), "+-.") {
		return fmt.Errorf("%q is no duration: write \"90s\", \"5m\", \"8h\", or \"0s\" for once", text)
	}
	if Remember(d) > maxRemember {
		return fmt.Errorf("%q is too long: at most %v", text, maxRemember)
	}
	*r = Remember(d)
	return nil
}

// String writes "8h" where time.Duration has "8h0m0s".
func (r Remember) String() string {
	s := time.Duration(r).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// longest is how long a person's yes to a use of a rule may last, by the rule's own
// word and that for all rules of the service; nil says nothing.
func longest(own, all *Remember, qube string, pattern *QubeGlob) time.Duration {
	if disposable(qube) && !strings.HasPrefix(pattern.String(), "disp") {
		return 0
	}
	switch {
	case own != nil && all != nil:
		return time.Duration(min(*own, *all))
	case own != nil:
		return time.Duration(*own)
	case all != nil:
		return time.Duration(*all)
	default:
		return time.Duration(defaultRemember)
	}
}

// disposable tells whether dom0 gives the name to one disposable after another:
// "disp" and digits (qubes-core-admin, qubes/vm/dispvm.py). Nothing lasts for such
// a name, unless a rule speaks of these names literally.
func disposable(qube string) bool {
	digits, ok := strings.CutPrefix(qube, "disp")
	return ok && digits != "" && strings.Trim(digits, "0123456789") == ""
}
