// Package clefattacks attacks a booted client qube's port 8550 as pages, programs and
// confused proxies would, with a real Clef behind it, and the Python dispatcher of
// test/baseline beside it.
package clefattacks

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/splitvault/splitvault/test/baseline"
	"github.com/splitvault/splitvault/test/clefqube"
	"github.com/splitvault/splitvault/test/qubes/bench"
	"github.com/splitvault/splitvault/test/qubes/bench/machine"
	"github.com/splitvault/splitvault/test/signer"
)

// world is a vault with Clef, which signs whatever it gets, and the qube of a dapp.
type world struct {
	vault, work *bench.Qube
}

func TestClefAttacks(t *testing.T) {
	kit := bench.Prepare(t)
	signer.Require(t)
	w := newWorld(t, kit)
	t.Run("requests", w.requests)
	t.Run("at once", func(t *testing.T) {
		for name, attack := range map[string]func(*testing.T){"slow loris": w.slowLoris, "mutants": w.mutants} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				attack(t)
			})
		}
	})
}

func newWorld(t *testing.T, kit *bench.Kit) *world {
	t.Helper()
	b := kit.New(t, "bookworm") // whose systemd starts services three times as fast
	w := &world{vault: b.Boot("vault"), work: b.Boot("work", "splitvault-clef")}
	b.Policy("qubes.Clefsign * work @anyvm allow target=vault", baseline.ClefPolicy("work"))
	program, err := baseline.Program(t.Context(), "test/clefattacks/sender")
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		w.vault.Put(t.Context(), ".config/splitvault/rules.toml", []byte("[[clef.rule]]\nqube = \"work\"\ndecision = \"allow\"\n")),
		w.work.Put(t.Context(), ".config/splitvault/client.toml", []byte("[clef]\norigins = [\"https://app.example.org\"]\n")),
		clefqube.Start(t.Context(), w.vault),
		baseline.Put(t.Context(), w.work, map[string][]byte{"/usr/local/bin/sender": program}),
		baseline.ClefVault(t.Context(), w.vault),
		baseline.ClefClient(t.Context(), w.work),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// send sends each text over a connection of its own, and returns the first lines of
// the answers, or what options of sender say.
func (w *world) send(t *testing.T, address string, texts []string, options ...string) []string {
	t.Helper()
	var in strings.Builder
	for _, text := range texts {
		fmt.Fprintln(&in, base64.StdEncoding.EncodeToString([]byte(text)))
	}
	cmd := w.work.Command(t.Context(), machine.AsUser, append(append([]string{"sender"}, options...), address)...)
	cmd.Stdin = strings.NewReader(in.String())
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.Bytes())
	}
	var lines []string
	for line := range strings.Lines(string(out)) {
		line, err := strconv.Unquote(strings.TrimSpace(line))
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, strings.TrimSpace(line))
	}
	if len(lines) != len(texts) {
		t.Fatalf("%d answers to %d requests", len(lines), len(texts))
	}
	return lines
}

// signed tells which texts Clef was asked to sign, by its own log.
func (w *world) signed(t *testing.T) func(text string) bool {
	t.Helper()
	log, err := w.vault.User(t.Context(), "cat .clef/audit.log")
	if err != nil {
		t.Fatal(err)
	}
	return func(text string) bool { return strings.Contains(log, hex.EncodeToString([]byte(text))) }
}

func (w *world) requests(t *testing.T) {
	all := append([]attack{{"good", good}}, attacks()...)
	arrived := map[string]int{}
	for _, relay := range []struct{ name, address string }{{"ours", "127.0.0.1:8550"}, {"python", strings.TrimPrefix(baseline.ClefURL, "http://")}} {
		var texts []string
		for _, a := range all {
			texts = append(texts, a.text(sign(relay.name+": "+a.name)))
		}
		answers := w.send(t, relay.address, texts)
		signed := w.signed(t)
		for i, a := range all {
			yes := signed(relay.name + ": " + a.name)
			if yes {
				arrived[relay.name]++
			}
			if relay.name == "python" {
				continue
			}
			if yes != (a.name == "good") {
				t.Errorf("%s: Clef was asked to sign: %v (answer %q)", a.name, yes, answers[i])
			}
			if !strings.HasPrefix(answers[i], "HTTP/1.1 ") || strings.HasPrefix(answers[i], "HTTP/1.1 5") {
				t.Errorf("%s: answered %q", a.name, answers[i])
			}
		}
	}
	t.Logf("of %d attacks, %d got a signature out of the Python dispatcher", len(all)-1, arrived["python"]-1)
	// Else the attacks are none.
	if arrived["ours"] != 1 || arrived["python"] < 15 {
		t.Errorf("arrived: %v", arrived)
	}
}

// slowLoris holds connections on which a header never ends: others are served all
// the while, and each is closed after ten seconds.
func (w *world) slowLoris(t *testing.T) {
	const n = 40
	cmd := w.work.Command(t.Context(), machine.AsUser, "sender", "-slow", strconv.Itoa(n), "127.0.0.1:8550")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	if line, err := lines.ReadString('\n'); line != "held\n" {
		t.Fatalf("%q, %v", line, err)
	}
	if got := w.send(t, "127.0.0.1:8550", []string{good(sign("while held"))}); got[0] != "HTTP/1.1 200 OK" {
		t.Errorf("meanwhile: %q", got)
	}
	line, err := lines.ReadString('\n')
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	seconds, errNumber := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || errNumber != nil || seconds < 9 || time.Duration(seconds)*time.Second > 30*time.Second {
		t.Errorf("closed after %q seconds, %v", line, err)
	}
}
