package passcode_test

import (
	"testing"

	"github.com/splitvault/splitvault/pkg/passcode"
)

func TestEveryCodeHasItsOwnWords(t *testing.T) {
	t.Parallel()
	tokens, texts := map[string]bool{}, map[string]bool{}
	for _, c := range passcode.All() {
		if c.Token() == "" || tokens[c.Token()] || c.Text() == "" || texts[c.Text()] {
			t.Errorf("%d: %q, %q", c, c.Token(), c.Text())
		}
		tokens[c.Token()], texts[c.Text()] = true, true
		if passcode.Of(int(c)) != c {
			t.Errorf("Of(%d) is %d", c, passcode.Of(int(c)))
		}
	}
}

func TestForeignExitCodesAreInternalErrors(t *testing.T) {
	t.Parallel()
	for _, exit := range []int{-1, 3, 9, 17, 124, 128, 137, 255} {
		if got := passcode.Of(exit); got != passcode.Internal {
			t.Errorf("Of(%d) is %v", exit, got)
		}
	}
}

func TestTheGuardsCodesAreNotQrexecs(t *testing.T) {
	t.Parallel()
	for _, c := range passcode.All() {
		if c > passcode.NoField && c < 125 || c > 127 {
			t.Errorf("%v", c)
		}
	}
}
