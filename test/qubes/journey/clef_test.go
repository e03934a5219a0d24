package journey

import (
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/splitvault/splitvault/test/qubes/bench/machine"
	"github.com/splitvault/splitvault/test/signer"
)

const accounts = `{"jsonrpc":"2.0","id":1,"method":"account_list"}`

// clef puts the real Clef where docs/clef.md says, with an account, and asks for its
// accounts with the command of that page: a person says yes in the vault's prompt, and
// again in Clef's own window.
func (w *way) clef() {
	w.t.Helper()
	w.t.Logf("docs/clef.md: a call of the real Clef")
	curl := regexp.MustCompile(`(?m)^\$ (curl .*)$`).FindSubmatch(read(w.t, source+"/docs/clef.md"))
	if curl == nil {
		w.t.Fatal("docs/clef.md has no curl to type")
	}
	w.haveClef()
	if err := w.qube("work").Put(w.t.Context(), "request.json", []byte(accounts)); err != nil {
		w.t.Fatal(err)
	}
	call := w.qube("work").Command(w.t.Context(), machine.AsLogin, string(curl[1]))
	var answer strings.Builder
	call.Stdout, call.Stderr = &answer, &answer
	if err := call.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.person("splitvault: work asks", "key", "--delay", "100", "Tab", "Return")
	w.person("Clef: the signer", "type", "--delay", "50", "y\n")
	if err := call.Wait(); err != nil || !strings.Contains(answer.String(), strings.ToLower(signer.Account)) {
		w.t.Errorf("curl: %v: %s", err, &answer)
	}
	w.inQube("vault", "systemctl --user stop splitvault-clef-backend")
}

// haveClef is what "go install", "qvm-copy" and "clef newaccount" leave in the vault.
func (w *way) haveClef() {
	w.t.Helper()
	signer.Require(w.t)
	program, err := signer.Binary()
	if err != nil {
		w.t.Fatal(err)
	}
	home := w.t.TempDir()
	if err := signer.Home(w.t.Context(), home); err != nil {
		w.t.Fatal(err)
	}
	keys, err := filepath.Glob(filepath.Join(home, ".ethereum/keystore/*"))
	if err != nil || len(keys) != 1 {
		w.t.Fatalf("one account: %q, %v", keys, err)
	}
	for path, from := range map[string]string{"go/bin/clef": program, ".ethereum/keystore/" + filepath.Base(keys[0]): keys[0]} {
		if err := w.qube("vault").Put(w.t.Context(), path, read(w.t, from)); err != nil {
			w.t.Fatal(err)
		}
	}
	w.inQube("vault", "chmod 755 go/bin/clef && chmod -R go= .ethereum")
}

// person waits for a window in the vault, reads it, and does something there.
func (w *way) person(window string, keys ...string) {
	w.t.Helper()
	const script = `export DISPLAY=:7
		for i in $(seq 200); do id=$(xdotool search --onlyvisible --name "$0") && break; sleep 0.1; done
		xdotool windowfocus "$id" && sleep 1.2 && exec xdotool "$@"`
	cmd := w.qube("vault").Command(w.t.Context(), machine.AsUser, append([]string{"sh", "-euc", script, window}, keys...)...)
	cmd.WaitDelay = time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		w.t.Fatalf("nobody could answer %q: %v: %s", window, err, out)
	}
}
