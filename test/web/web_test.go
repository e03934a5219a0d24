package web

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/splitvault/splitvault/test/qubes/bench"
	"github.com/splitvault/splitvault/test/qubes/bench/roots"
)

const (
	address   = "0x9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f"
	checksum  = "0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F"
	signature = "0xf63c93dc642a4839770b35abf9cb304ac2f1b5463d9a9abd87546feaa0af992e659cf087c433e45c45f6135cb819ab1922c6359dbb1b8c8d7a54141de2cd4beb1b"
	typedSig  = "0xc9e329562ccf67dde19efba9e8046949b1c35e1f69b28843f3a604fa6cd88be7496693d829719cef30889071597fa58dd1f0a408d8deb088a4f12ae9249ff5331b"
	txHash    = "0x8f1c87adeddb02ce91b1ef50b0549170433d4cd6f51bdb4059c7a113bf2a76e0"
)

func libraries() []string { return []string{"ethers", "viem", "web3"} }

// world is a vault with Clef, and a qube with dapps.
type world struct {
	bench       *bench.Test
	vault, work *bench.Qube
}

// outcome is what one library made of one step.
type outcome struct {
	Library, Step string
	Result        json.RawMessage
	Error         *struct {
		Name         string
		Code, Inner  any
		Text, Detail string
	}
}

// TestClients runs each library on the node of each root, and the browser once.
func TestClients(t *testing.T) {
	kit := bench.Prepare(t)
	modules := need(t)
	bundle, err := Bundle(t.Context(), modules)
	if err != nil {
		t.Fatal(err)
	}
	program := gethClient(t)
	for _, suite := range roots.Suites() {
		t.Run(suite, func(t *testing.T) {
			w := newWorld(t, kit, suite)
			if err := w.work.Put(t.Context(), "clients.cjs", bundle); err != nil {
				t.Fatal(err)
			}
			t.Run("signing", w.signing)
			t.Run("refusals", w.refusals)
			t.Run("geth", func(t *testing.T) { w.geth(t, program) })
			if suite == "trixie" { // no part of a qube but node differs
				t.Run("impatience", w.impatience)
				t.Run("browser", func(t *testing.T) { w.browser(t, modules) })
				t.Run("geth --signer", w.gethSigner) // at the end: a refusal is remembered for a while
			}
		})
	}
	t.Run("browserpass", func(t *testing.T) { passwords(t, kit) })
}

// need skips the test where its programs are missing, and fails it in CI.
func need(t *testing.T) string {
	t.Helper()
	for _, program := range []string{"node", "npm", "chromium", "nsenter", "setpriv"} {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
	modules, err := Modules(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return modules
}

// run runs steps with all libraries and returns their outcomes by library and step.
func (w *world) run(t *testing.T, environment string, steps ...string) map[string]outcome {
	t.Helper()
	out, err := w.work.User(t.Context(), append([]string{"env", environment, "node", "clients.cjs"}, steps...)...)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]outcome{}
	for line := range strings.Lines(out) {
		var o outcome
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		all[o.Library+" "+o.Step] = o
	}
	if len(all) != len(steps)*len(libraries()) {
		t.Fatalf("%d outcomes: %s", len(all), out)
	}
	return all
}

// calls counts what has reached dom0 since the last time.
func (w *world) calls(t *testing.T) map[string]int {
	t.Helper()
	all, err := w.bench.Calls()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.bench.Ctl(t.Context(), "reset"); err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, c := range all.Calls {
		count[c.Argument]++
	}
	return count
}

func (w *world) signing(t *testing.T) {
	w.calls(t)
	got := w.run(t, "A=", "version", "list", "data", "typed", "transaction", "batch")
	both := fmt.Sprintf(`"ethers":%q,"viem":%q`, checksum, checksum)
	for _, library := range libraries() {
		for step, want := range map[string]string{
			"version":     `"6.1.0"`,
			"list":        `["` + address + `"]`,
			"data":        fmt.Sprintf(`{"signature":%q,%s}`, signature, both),
			"typed":       fmt.Sprintf(`{"signature":%q,%s}`, typedSig, both),
			"transaction": fmt.Sprintf(`{"hash":%q,%s,"to":"0x1111111111111111111111111111111111111111","value":"1"}`, txHash, both),
			"batch":       `["6.1.0",["` + address + `"],"6.1.0"]`,
		} {
			o := got[library+" "+step]
			if string(o.Result) != want {
				t.Errorf("%s, %s: got %s, %+v, want %s", library, step, o.Result, o.Error, want)
			}
		}
	}
	if n := w.calls(t)["account_signTransaction"]; n != len(libraries()) {
		t.Errorf("%d calls for %d signatures", n, len(libraries()))
	}
}

// refusals: each library knows the error for what it is, and asks once.
func (w *world) refusals(t *testing.T) {
	w.bench.Policy("qubes.Clefsign +account_list work @anyvm deny notify=no", "qubes.Clefsign * work @anyvm allow target=vault")
	w.calls(t)
	got := w.run(t, "A=", "list", "fresh", "chain")
	for name, want := range map[string]string{
		"viem list":    "UserRejectedRequestError 4001",
		"viem fresh":   "UnauthorizedProviderError 4100",
		"viem chain":   "UnsupportedProviderMethodError 4200",
		"ethers list":  "Error ACTION_REJECTED",
		"ethers fresh": "Error UNKNOWN_ERROR 4100",
		"ethers chain": "Error UNKNOWN_ERROR 4200",
		"web3 list":    "InvalidResponseError 101 4001",
		"web3 fresh":   "InvalidResponseError 101 4100",
		"web3 chain":   "InvalidResponseError 101 4200",
	} {
		o := got[name]
		if o.Error == nil || !strings.HasPrefix(fmt.Sprint(o.Error.Name, " ", o.Error.Code, " ", o.Error.Inner), want) {
			t.Errorf("%s: got %s, %+v, want %s", name, o.Result, o.Error, want)
		}
	}
	if count := w.calls(t); count["account_list"] != 3 || count["account_new"] != 3 || len(count) != 2 {
		t.Errorf("calls: %v: something was tried again", count)
	}
	w.bench.Policy("qubes.Clefsign * work @anyvm allow target=vault")
}

// impatience: viem gives up four times while a person reads dom0's prompt, and the
// person has one prompt to answer.
func (w *world) impatience(t *testing.T) {
	w.bench.Policy("qubes.Clefsign * work @anyvm ask target=vault default_target=vault")
	w.calls(t)
	if _, err := w.bench.Ctl(t.Context(), "answer", "--delay", "4s", "allow:vault"); err != nil {
		t.Fatal(err)
	}
	out, err := w.work.User(t.Context(), "env", "ONLY=viem", "PATIENCE=2500", "node", "clients.cjs", "impatient")
	if err != nil || !strings.Contains(out, `"result":["`+address+`"]`) {
		t.Errorf("%s, %v", out, err)
	}
	if n := w.calls(t)["account_list"]; n != 1 {
		t.Errorf("%d prompts for one request", n)
	}
	w.bench.Policy("qubes.Clefsign * work @anyvm allow target=vault")
}

// browser runs Chromium of this machine in the qube's network, as its user. SHOTS
// in the environment names a directory for pictures.
func (w *world) browser(t *testing.T, modules string) {
	dir, err := os.MkdirTemp("", "browser")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := Stage(modules, dir); err != nil {
		t.Fatal(err)
	}
	home := filepath.Join(dir, "home")
	if err := os.Mkdir(home, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(home, 1000, 1000); err != nil {
		t.Fatal(err)
	}
	if err := w.work.Put(t.Context(), ".config/splitvault/client.toml", []byte("[clef]\norigins = [\"https://app.example.org\"]\n")); err != nil {
		t.Fatal(err)
	}
	for _, old := range []string{"", "1"} {
		w.calls(t)
		got := w.browse(t, dir, home, old)
		w.judge(t, got, old != "")
		// The page that is allowed is the only one whose requests crossed.
		want := map[string]int{"account_list": 1, "account_signData": 1}
		if old != "" {
			want = map[string]int{"account_list": 2, "account_signData": 2}
		}
		if count := w.calls(t); fmt.Sprint(count) != fmt.Sprint(want) {
			t.Errorf("old %q: calls %v, want %v", old, count, want)
		}
	}
	if shots := os.Getenv("SHOTS"); shots != "" {
		for _, name := range []string{"allowed.png", "refused.png"} {
			picture, err := os.ReadFile(filepath.Join(home, "shots", name))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(shots, name), picture, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func (w *world) browse(t *testing.T, dir, home, old string) map[string]json.RawMessage {
	t.Helper()
	shots := filepath.Join(home, "shots")
	if old != "" {
		shots = ""
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "nsenter", fmt.Sprintf("--net=/proc/%d/ns/net", w.work.PID()),
		"setpriv", "--reuid=1000", "--regid=1000", "--clear-groups",
		"env", "-i", "PATH=/usr/local/bin:/usr/bin:/bin", "HOME="+home, "TMPDIR="+home, "OLD="+old, "SHOTS="+shots,
		"PAGE="+filepath.Join(dir, "dapp.html"), "CERT="+filepath.Join(dir, "cert.pem"), "KEY="+filepath.Join(dir, "key.pem"),
		"node", filepath.Join(dir, "browser.mjs"))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	// node ends the browser when it is told to end.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("the browser: %v\n%s\n%s", err, out, stderr.Bytes())
	}
	all := map[string]json.RawMessage{}
	for line := range strings.Lines(string(out)) {
		var o struct {
			Case   string
			Result json.RawMessage
		}
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		all[o.Case] = o.Result
	}
	return all
}

// judge holds what pages saw against what they may.
func (w *world) judge(t *testing.T, got map[string]json.RawMessage, old bool) {
	t.Helper()
	const failed = `{"list":{"exception":"TypeError: Failed to fetch"}}`
	served := fmt.Sprintf(`{"list":{"status":200,"result":[%q]},"signature":{"status":200,"result":%q}}`, address, signature)
	want := map[string]string{
		"allowed page":                    served,
		"allowed page, permission denied": failed,
		"refused page":                    failed,
		"attempts of a refused page":      `{"no-cors":"opaque","urlencoded":"opaque","beacon":true,"image":"error","websocket":"error","sandbox":"TypeError: Failed to fetch"}`,
		"websocket of an allowed page":    `"error"`,
		"form of a page without origin":   `{"status":403,"origin":"null","site":"cross-site","body":"{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32600,\"message\":\"this origin is not allowed\"}}\n"}`,
		"form of a page":                  `{"status":403,"origin":"null"}`,
		"DNS rebinding":                   `{"exception":"TypeError: Failed to fetch"}`,
		"address bar":                     `{"status":200,"body":""}`,
	}
	if old {
		want["allowed page, permission denied"] = served
		want["DNS rebinding"] = `{"status":403,"error":{"code":-32600,"message":"the Host header names another server"}}`
	}
	for name, w := range want {
		if string(got[name]) != w {
			t.Errorf("%s: the page saw %s, want %s", name, got[name], w)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d cases, want %d", len(got), len(want))
	}
}
