package clefrelay

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/splitvault/splitvault/pkg/origin"
	"github.com/splitvault/splitvault/pkg/slots"
)

func TestOneRequestIsOneCallNamedAfterItsMethod(t *testing.T) {
	t.Parallel()
	v := newVault(t, answering(`"result":["0x9d"]`))
	got := v.ask(t, ` { "id": "ab\u0063", "jsonrpc": "2.0","method": "account_list","params": [] } `)
	if want := `{"jsonrpc":"2.0","id":"abc","result":["0x9d"]}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if calls := v.file("calls"); calls != "@default qubes.Clefsign+account_list\n" {
		t.Errorf("calls: %q", calls)
	}
	preamble, body := split(t, v.file("got"))
	if body != `{"jsonrpc":"2.0","id":"relay","method":"account_list","params":[]}` {
		t.Errorf("crossed: %s", body)
	}
	exe, err := os.Executable()
	if err != nil || preamble.Exe != strings.ReplaceAll(exe, "_", "_") || preamble.UID != int64(os.Getuid()) || preamble.Origin != "" || preamble.UserAgent != "curl/8 __22_b_" {
		t.Errorf("preamble %+v, %v", preamble, err)
	}
}

func TestTheOriginCrosses(t *testing.T) {
	t.Parallel()
	v := newVault(t, answering(`"result":null`))
	from := Sender{Origin: origin.Origin("https://app.example.org")}
	if _, ok := v.relay.Answer(t.Context(), t.Context(), from, []byte(request("1", "account_list", "[]"))); !ok {
		t.Error("no request")
	}
	if preamble, _ := split(t, v.file("got")); preamble.Origin != from.Origin {
		t.Errorf("%+v", preamble)
	}
}

func TestABatchIsSplitAndPutTogetherInOrder(t *testing.T) {
	t.Parallel()
	v := newVault(t, `case $3 in *version) `+answering(`"result":"6.1.0"`)+`;; *) `+answering(`"error":{"code":4100,"message":"no"}`)+`;; esac`)
	got := v.ask(t, "["+request("1", "account_version", "[]")+","+request(`"b"`, "account_list", "[]")+`,7,{"jsonrpc":"2.0","method":"account_new"},`+request("1", "account_version", "[]")+"]")
	want := `[{"jsonrpc":"2.0","id":1,"result":"6.1.0"},{"jsonrpc":"2.0","id":"b","error":{"code":4100,"message":"no"}},` +
		`{"jsonrpc":"2.0","id":null,"error":{"code":-32600,`
	if !strings.HasPrefix(got, want) || !strings.HasSuffix(got, `,{"jsonrpc":"2.0","id":1,"result":"6.1.0"}]`) || strings.Count(got, "jsonrpc") != 5 {
		t.Errorf("got %s", got)
	}
	if n := v.calls(); n != 3 {
		t.Errorf("%d calls", n)
	}
}

// What no signer does costs no call, and so no prompt of dom0.
func TestWhatNoGuardAcceptsIsAnsweredHere(t *testing.T) {
	t.Parallel()
	v := newVault(t, answering(`"result":null`))
	for body, want := range map[string]string{
		request("1", "eth_chainId", "[]"):                                       `"code":4200,`,
		request("1", "wallet_switchEthereumChain", "[]"):                        `"code":4200,`,
		request("1", "foo", "[]"):                                               `"code":-32601,`,
		request("1", "account_list; rm", "[]"):                                  `"code":-32601,`,
		`{"jsonrpc":"2.0","method":"account_new","params":[]}`:                  `"code":-32600,`,
		`{"jsonrpc":"2.0","id":1,"method":"account_list","METHOD":"x"}`:         `"code":-32700,`,
		`{"jsonrpc":"2.0","id":1,"method":"account_list"}{}`:                    `"code":-32700,`,
		request(`"splitvault-guard"`, "account_list", "[]"):                     `this qube is client and vault`,
		"[" + strings.Repeat(request("1", "account_list", "[]")+",", 32) + "1]": `"code":-32600,`,
		``: `"code":-32700,`,
	} {
		if got := v.ask(t, body); !strings.Contains(got, want) {
			t.Errorf("%.80s: %s, want %s", body, got, want)
		}
	}
	if n := v.calls(); n != 0 {
		t.Errorf("%d calls", n)
	}
}

// Each error is one after which no client tries again by itself.
func TestErrorsOfACall(t *testing.T) {
	t.Parallel()
	const unreachable = `{"jsonrpc":"2.0","id":7,"error":{"code":4900,"message":"signer unreachable: `
	for name, tt := range map[string]struct{ script, answer, journal string }{
		"refused in dom0":        {"echo Request refused >&2; exit 126", `{"jsonrpc":"2.0","id":7,"error":{"code":4001,"message":"User denied: Qubes policy refused qubes.Clefsign+account_list to the vault"}}`, "qubes.Clefsign * work @anyvm ask target=VAULT"},
		"no such service":        {"exit 127", unreachable + "VAULT has no service qubes.Clefsign", "install splitvault"},
		"a fault of qrexec":      {"exit 125", unreachable + "qrexec could not start qubes.Clefsign", "qrexec-agent"},
		"the vault went down":    {"exit 255", unreachable + "the connection broke", "shut down"},
		"no channel":             {"exit 1", unreachable + "qrexec in this qube did not connect", "too many calls"},
		"the guard found it bad": {"exit 2", unreachable, "splitvault-clef-guard"},
		"nothing":                {"exit 0", unreachable + "the service in VAULT ended without a whole answer", "splitvault-clef-guard"},
		"killed":                 {"kill -9 $$", unreachable + "qrexec-client-vm was ended by signal 9", "signal 9"},
		"profile text":           {"echo Welcome to the vault; " + answering(`"result":1`), unreachable + "what the vault sent is no answer of a signer: a profile file in the vault prints text", "/etc/profile.d"},
		"half an answer":         {`printf '{"jsonrpc":"2.0","id":"relay","result":'`, unreachable, "no answer of a signer"},
		"cut in an answer":       {`printf '{"jsonrpc":"2.0","id":"relay","result":'; exit 255`, unreachable + "the connection broke", "the connection broke"},
		"killed in an answer":    {`printf '{"jsonrpc":"2.0","id":"relay","result":'; kill -9 $$`, unreachable + "qrexec-client-vm was ended by signal 9", "signal 9"},
		"guard killed in one":    {`printf '{"jsonrpc":"2.0","id":"relay","result":'; exit 137`, unreachable + "the service in VAULT failed with exit code 137", "exit code 137"},
		"two answers":            {answering(`"result":1`) + ";" + answering(`"result":2`), `{"jsonrpc":"2.0","id":7,"result":1}`, ""},
		"text after the answer":  {answering(`"result":1`) + "; echo Goodbye", `{"jsonrpc":"2.0","id":7,"result":1}`, ""},
		"an answer in lines":     {`printf '{"jsonrpc":"2.0",\n"id":"relay",\n"result":1}'`, `{"jsonrpc":"2.0","id":7,"result":1}`, ""},
		"lines and text after":   {`printf '{"jsonrpc":"2.0",\n"id":"relay",\n"result":1}\nGoodbye\n'`, unreachable, "no answer of a signer"},
		"another's answer":       {`printf '{"jsonrpc":"2.0","id":1,"result":1}'`, unreachable, "no answer of a signer"},
		"an endless answer":      {`cat /dev/zero`, unreachable, "no answer of a signer"},
		"a child left behind":    {`sleep 30 & echo; exit 126`, unreachable, "no answer of a signer"},
		"an answer and a fault":  {answering(`"result":"whole"`) + "; exit 255", `{"jsonrpc":"2.0","id":7,"result":"whole"}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newVault(t, tt.script)
			if got := v.ask(t, request("7", "account_list", "[]")); !strings.HasPrefix(got, tt.answer) {
				t.Errorf("got %.300s, want %s", got, tt.answer)
			}
			if log := v.logged(); !strings.Contains(log, tt.journal) {
				t.Errorf("journal: %s, want %q", log, tt.journal)
			}
			wantTold := 1
			if tt.journal == "" {
				wantTold = 0
			}
			v.ask(t, request("8", "account_list", "[]"))
			if len(v.told) != wantTold {
				t.Errorf("told %q", v.told)
			}
			if n := v.calls(); n != 2 {
				t.Errorf("%d calls: one was tried again", n)
			}
		})
	}
}

func TestWithoutAClientProgramTheAnswerSaysSo(t *testing.T) {
	t.Parallel()
	v := newVault(t, "")
	v.relay.Config.Dialer.Client = "/nonexistent"
	if got := v.ask(t, request("1", "account_list", "[]")); !strings.Contains(got, `"code":4900`) || !strings.Contains(got, "SPLITVAULT_QREXEC_CLIENT") {
		t.Error(got)
	}
}

func TestEqualRequestsInFlightAreOneCall(t *testing.T) {
	t.Parallel()
	for method, want := range map[string]int{"account_signData": 1, "account_new": 3} {
		v := newVault(t, `while [ ! -e go ]; do sleep 0.02; done; `+answering(`"result":"0x01"`))
		var all sync.WaitGroup
		for _, id := range []string{"1", `"two"`, "null"} {
			all.Go(func() {
				if got := v.ask(t, request(id, method, `["text/plain","0x9d","0x68"]`)); got != `{"jsonrpc":"2.0","id":`+id+`,"result":"0x01"}` {
					t.Error(got)
				}
			})
		}
		until(t, "the calls", func() bool { return v.calls() == want })
		time.Sleep(200 * time.Millisecond) // so that one too many would show
		if err := os.WriteFile(v.dir+"/go", nil, 0o600); err != nil {
			t.Fatal(err)
		}
		all.Wait()
		if n := v.calls(); n != want {
			t.Errorf("%s: %d calls, want %d", method, n, want)
		}
	}
}

// A signature asked for by one page is not given to another, or to other words.
func TestOnlyEqualRequestsOfOneOriginJoin(t *testing.T) {
	t.Parallel()
	v := newVault(t, `while [ ! -e go ]; do sleep 0.02; done; `+answering(`"result":"0x01"`))
	var all sync.WaitGroup
	for _, tt := range []struct{ origin, params string }{
		{"", `["a"]`}, {"https://a.example", `["a"]`}, {"https://b.example", `["a"]`}, {"https://a.example", `["b"]`},
	} {
		all.Go(func() {
			v.relay.Answer(t.Context(), t.Context(), Sender{Origin: origin.Origin(tt.origin)}, []byte(request("1", "account_signData", tt.params)))
		})
	}
	until(t, "four calls", func() bool { return v.calls() == 4 })
	if err := os.WriteFile(v.dir+"/go", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	all.Wait()
}

// What one vault has signed is no answer of another.
func TestEqualRequestsToTwoVaultsDoNotJoin(t *testing.T) {
	t.Parallel()
	v := newVault(t, `while [ ! -e go ]; do sleep 0.02; done; `+answering(`"result":"0x01"`))
	config, dialer := *v.relay.Config, &Dialer{Client: v.relay.Config.Dialer.Client, Target: "other"}
	config.Dialer = dialer
	t.Cleanup(dialer.Wait)
	other := &Relay{Config: &config, Client: v.relay.Client, Report: v.relay.Report, Call: dialer.Call}
	var all sync.WaitGroup
	for _, relay := range []*Relay{v.relay, other} {
		all.Go(func() {
			relay.Answer(t.Context(), t.Context(), Sender{}, []byte(request("1", "account_signData", `["a"]`)))
		})
	}
	until(t, "two calls", func() bool { return v.calls() == 2 })
	if err := os.WriteFile(v.dir+"/go", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	all.Wait()
}

// viem sends a request four times after some codes, cast nine times: so often is a
// person asked.
func TestNoAnswerOfTheVaultMakesAClientTryAgain(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]string{
		"-1": "-32000", "429": "-32000", "-32005": "-32000", "-32007": "-32000", "-32603": "-32000",
		"4001": "4001", "-32000": "-32000", "-32602": "-32602",
	} {
		v := newVault(t, answering(`"error":{"code":`+code+`,"message":"no","data":"more"}`))
		if got := v.ask(t, request("1", "account_list", "[]")); got != `{"jsonrpc":"2.0","id":1,"error":{"code":`+want+`,"message":"no","data":"more"}}` {
			t.Errorf("%s: %s", code, got)
		}
	}
}

func TestACallWhoseClientIsGoneEnds(t *testing.T) {
	t.Parallel()
	v := newVault(t, `echo $$ >pid; exec sleep 60`)
	v.relay.Config.Join.Patience = 100 * time.Millisecond
	for _, method := range []string{"account_new", "account_list"} {
		client, gone := context.WithCancel(t.Context())
		before := v.calls()
		time.AfterFunc(20*time.Second, gone)
		go func() {
			for v.calls() == before {
				time.Sleep(2 * time.Millisecond)
			}
			gone()
		}()
		start := time.Now()
		v.relay.Answer(t.Context(), client, Sender{}, []byte(request("1", method, "[]")))
		if took := time.Since(start); took > 15*time.Second {
			t.Errorf("%s: it took %v", method, took)
		}
	}
	if strings.Contains(v.logged(), "not served") {
		t.Errorf("a client that went away is told of as a fault: %s", v.logged())
	}
}

// What is a whole answer need not wait for the end of the call, which is milliseconds
// away; but the call has its place until it has ended, and the relay ends after it.
func TestAWholeAnswerDoesNotWaitForTheCallsEnd(t *testing.T) {
	t.Parallel()
	v := newVault(t, answering(`"result":1`)+"; echo $$ >pid; exec sleep 60")
	dialer := v.relay.Config.Dialer
	dialer.Pool = slots.New(v.dir, "clef", 1)
	start := time.Now()
	if got := v.ask(t, request("7", "account_list", "[]")); !strings.Contains(got, `"result":1`) {
		t.Fatalf("got %s", got)
	}
	// As one that had waited for the end would not find it.
	soon, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if slot, err := dialer.Pool.Acquire(soon); err == nil {
		t.Error("its place is free before it has ended")
		_ = slot.Release()
	}
	dialer.Wait()
	if took := time.Since(start); took < endGrace || took > 10*time.Second {
		t.Errorf("the call ended after %v", took)
	}
	slot, err := dialer.Pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_ = slot.Release()
	if pid := strings.TrimSpace(v.file("pid")); pid == "" || exec.Command("kill", "-0", pid).Run() == nil {
		t.Errorf("process %q is left", pid)
	}
}

func TestWithoutAPlaceToJoinRequestsAreServedAllTheSame(t *testing.T) {
	t.Parallel()
	v := newVault(t, answering(`"result":1`))
	v.relay.Config.Join.Dir = v.dir + "/nonexistent"
	if got := v.ask(t, request("1", "account_list", "[]")); got != `{"jsonrpc":"2.0","id":1,"result":1}` {
		t.Error(got)
	}
	if log := v.logged(); !strings.Contains(log, "not joined") {
		t.Error(log)
	}
}
