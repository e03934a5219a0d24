package typed

import (
	"slices"
	"testing"
)

func TestWhatIsTypedIsReadAsItStands(t *testing.T) {
	got, err := In("# One\n\n[user@work] $ no\n\n```\n[user@dom0] $ cat <<'EOF'\n# a line\nEOF\noutput\n[user@work] $ true; false\n```\n## Two\n```\n# no heading\n[user@debian-13] $ sudo poweroff     # now\n```\n")
	want := []Command{
		{"One", "dom0", "cat <<'EOF'\n# a line\nEOF", 6},
		{"One", "work", "true; false", 10},
		{"Two", "debian-13", "sudo poweroff     # now", 15},
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err := In("```\n[user@dom0] $ cat <<'EOF'\n```\n"); err == nil {
		t.Errorf("a here-document without end: got %+v", got)
	}
}
