package consent_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/splitvault/splitvault/pkg/consent"
)

// A page's name can be longer than a line: who owns it is told by its end, and a yes
// to one is none to another, wherever they differ.
func TestAttackLongPagesDoNotLookAlike(t *testing.T) {
	t.Parallel()
	keys := map[string]string{}
	for _, page := range []string{
		"https://app.bank.example." + strings.Repeat("a", 230) + ".evil.example", "https://app.bank.example." + strings.Repeat("a", 230) + ".good.example",
		"https://app.bank.example." + strings.Repeat("a", 100) + "b" + strings.Repeat("a", 129) + ".evil.example", "https://app.bank.example",
	} {
		r := (&consent.Clef{Qube: "work", Origin: page, Method: "account_list", Deed: "see accounts", Digest: "x"}).Request()
		if err := r.Check(); err != nil {
			t.Error(err)
		}
		last := r.Lines[len(r.Lines)-1]
		if end := page[len(page)-12:]; last.Label != "Page" || !last.Claimed || !strings.Contains(last.Text, end) || len(page) > 200 && strings.Contains(last.Text, "app.bank") {
			t.Errorf("%q is shown as %+v", page, last)
		}
		if other, double := keys[r.Key()]; double {
			t.Errorf("%s\nand %s\nare one question", page, other)
		}
		keys[r.Key()] = page
	}
}

// What a dialog has no room for is counted, and is never the account or the page.
func TestAttackManyDetailsPushNothingOut(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"lines": "x", "rows": strings.Repeat("x ", 100)} {
		c := consent.Clef{Qube: "work", Origin: "https://x", Account: "0x1", Deed: "sign", Digest: "x"}
		for i := range 100 {
			c.Details = append(c.Details, consent.Line{Label: fmt.Sprint(i), Text: text})
		}
		r := c.Request()
		if err := r.Check(); err != nil {
			t.Error(err)
		}
		n := len(r.Lines)
		want := fmt.Sprintf("%d lines of this are NOT SHOWN", 100-(n-4))
		if r.Lines[n-1].Label != "Page" || r.Lines[n-2].Label != "Account" || r.Lines[n-3].Text != want || r.Lines[1].Label != "0" {
			t.Errorf("%s: %+v, want %s", name, r.Lines, want)
		}
	}
}
