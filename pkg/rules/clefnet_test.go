package rules

import "testing"

func TestPagesMayAskWhereARuleNamesThem(t *testing.T) {
	t.Parallel()
	clef := parseClef(t, `
[[clef.rule]]
qube = "work"
origins = ["https://no.example"]
decision = "deny"
[[clef.rule]]
qube = "work"
origins = ["none", "https://app.example.org"]
decision = "allow"
[[clef.rule]]
qube = "*"
decision = "allow"
`).Clef
	for _, tt := range []struct {
		qube, origin string
		want         bool
	}{
		{"work", "https://app.example.org", true},
		{"work", "https://no.example", false},
		{"work", "https://evil.example", false},
		{"work", "null", false},
		{"work", "none", false},
		{"work", "", false},
		{"other", "https://app.example.org", false},
	} {
		if got := clef.PageMayAsk(tt.qube, tt.origin); got != tt.want {
			t.Errorf("%s, %q: %v", tt.qube, tt.origin, got)
		}
	}
}
