package clefattacks

import (
	"encoding/hex"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/splitvault/splitvault/test/baseline"
)

// mutatedRules allow a little, so that there is something that is not allowed.
const mutatedRules = `
[[clef.rule]]
qube = "work"
methods = ["account_version", "account_list"]
decision = "allow"
[[clef.rule]]
qube = "work"
methods = ["account_signData"]
accounts = ["0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F"]
content_types = ["text/plain"]
decision = "allow"
`

// inTheGate is how many are sent where MUTATED does not say another number.
const inTheGate = 1500

// every is how many mutated requests lie between two good ones.
const every = 100

// mutants sends mutated requests, and after each hundred one that must be answered. By
// its own log Clef gets nothing but what the rules allow. The Python dispatcher gets
// the same requests, to show that they are worth something.
func (w *world) mutants(t *testing.T) {
	n := inTheGate
	if more, err := strconv.Atoi(os.Getenv("MUTATED")); err == nil {
		n = more
	}
	if err := w.vault.Put(t.Context(), ".config/splitvault/rules.toml", []byte(mutatedRules)); err != nil {
		t.Fatal(err)
	}
	before := len(w.log(t))
	start := time.Now()
	texts, good := withGood(mutated(1, n))
	answers := w.send(t, "127.0.0.1:8550", texts, "-bytes", "1000", "-at-once", "4")
	took := time.Since(start)
	for i, answer := range answers {
		switch {
		case good[i] && !strings.Contains(answer, "0x9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f"):
			t.Errorf("after %d requests account_list is answered %q", i, answer)
		case answer != "" && !regexp.MustCompile(`^HTTP/1\.1 [1-4]`).MatchString(answer):
			t.Errorf("%q is answered %q", texts[i], answer)
		}
	}
	reached := w.log(t)[before:]
	ours := count(reached)
	for _, line := range reached {
		if why := notAllowed(line); why != "" {
			t.Errorf("Clef got %s: %s", why, line)
		}
	}
	if ours["List"] < n/every || ours["SignData"] == 0 {
		t.Errorf("Clef got %v, which proves nothing", ours)
	}
	w.control(t, texts[:len(texts)/8])
	t.Logf("%d mutated requests in %v: Clef got %v", n, took.Round(time.Millisecond), ours)
}

// control sends the same to the Python dispatcher.
func (w *world) control(t *testing.T, texts []string) {
	t.Helper()
	before := len(w.log(t))
	answers := w.send(t, strings.TrimPrefix(baseline.ClefURL, "http://"), texts, "-at-once", "4")
	wrong := 0
	for _, line := range w.log(t)[before:] {
		if notAllowed(line) != "" {
			wrong++
		}
	}
	silent := 0
	for _, answer := range answers {
		if !strings.HasPrefix(answer, "HTTP/1.1 ") {
			silent++
		}
	}
	t.Logf("of %d requests to the Python dispatcher, %d made Clef do what no rule allows, and %d got no answer", len(texts), wrong, silent)
	if wrong < len(texts)/20 {
		t.Errorf("of %d requests only %d got past the Python dispatcher: these are no attacks", len(texts), wrong)
	}
}

// withGood puts a good request after each hundred.
func withGood(mutants []string) (texts []string, good map[int]bool) {
	good = map[int]bool{}
	for i, text := range mutants {
		texts = append(texts, text)
		if (i+1)%every == 0 {
			good[len(texts)] = true
			texts = append(texts, post(isJSON, rpc("account_list", "[]")))
		}
	}
	return texts, good
}

// log is what reached Clef, by its own log of requests.
func (w *world) log(t *testing.T) []string {
	t.Helper()
	out, err := w.vault.User(t.Context(), `grep api=signer .clef/audit.log | grep type=request || true`)
	if err != nil {
		t.Fatal(err)
	}
	if out = strings.TrimSpace(out); out == "" {
		return nil
	}
	return strings.Split(out, "\n")
}

var logged = regexp.MustCompile(`msg=(\w+)`)

func count(lines []string) map[string]int {
	n := map[string]int{}
	for _, line := range lines {
		if m := logged.FindStringSubmatch(line); m != nil {
			n[m[1]]++
		}
	}
	return n
}

// notAllowed tells what of a line of Clef's log the rules do not allow.
func notAllowed(line string) string {
	m := logged.FindStringSubmatch(line)
	switch {
	case m == nil:
		return "what it does not name"
	case strings.Contains(line, hex.EncodeToString([]byte(forbidden))):
		return "a page's request, or one with another content type"
	case m[1] == "Version" || m[1] == "List":
		return ""
	case m[1] == "SignData" && strings.Contains(line, "content-type=text/plain"):
		return ""
	}
	return "a method that no rule allows"
}
