package main

import (
	"bytes"
	"strings"
	"testing"
)

// Without consentd there are no grants, and a pause is kept in the file.
func TestPauseWithoutConsentd(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	for _, row := range []struct {
		args string
		want int
		out  string
	}{
		{"grants", 0, "No grants"},
		{"grants --json", 0, `"grants": []`},
		{"revoke 1", 1, "no such grant"},
		{"revoke --all", 0, "0 grants"},
		{"revoke", 2, "name one grant"},
		{"revoke work --all", 2, "name one grant"},
		{"pause work 30m", 0, "work: paused until "},
		{"pause", 0, "every qube: paused until it is ended"},
		{"grants", 0, "work: paused until "},
		{"pause --end work", 0, "1 pauses"},
		{"grants", 0, "every qube: paused"},
		{"pause --end", 0, "1 pauses"},
		{"pause 10s", 2, "at least a minute"},
		{"pause work 5", 2, "duration"},
		{"pause --end work 5m", 2, "duration"},
	} {
		var out bytes.Buffer
		if got := run(strings.Fields(row.args), &out, &out); got != row.want || !strings.Contains(out.String(), row.out) {
			t.Errorf("%s: got %d, %s", row.args, got, &out)
		}
	}
}
