package web

import (
	"testing"

	"github.com/splitvault/splitvault/test/clefqube"
	"github.com/splitvault/splitvault/test/qubes/bench"
)

// vaultRules let Clef's own rules decide about all but new accounts.
const vaultRules = "[[clef.rule]]\nqube = \"work\"\ndecision = \"allow\"\n"

func newWorld(t *testing.T, kit *bench.Kit, suite string) *world {
	t.Helper()
	w := &world{bench: kit.New(t, suite)}
	w.vault = w.bench.Boot("vault")
	w.work = w.bench.Boot("work", "splitvault-clef")
	w.bench.Policy("qubes.Clefsign * work @anyvm allow target=vault")
	if err := w.vault.Put(t.Context(), ".config/splitvault/rules.toml", []byte(vaultRules)); err != nil {
		t.Fatal(err)
	}
	if err := clefqube.Start(t.Context(), w.vault); err != nil {
		t.Fatal(err)
	}
	return w
}
