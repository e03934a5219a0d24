package clefguard_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/splitvault/splitvault/pkg/clefbackend"
	"github.com/splitvault/splitvault/pkg/clefcall"
	"github.com/splitvault/splitvault/pkg/clefguard"
	"github.com/splitvault/splitvault/pkg/clefstart"
	"github.com/splitvault/splitvault/pkg/consent"
	"github.com/splitvault/splitvault/pkg/cooldown"
	"github.com/splitvault/splitvault/pkg/journal"
)

func TestWhatTheRulesAllowReachesClefInOneSpelling(t *testing.T) {
	t.Parallel()
	w := vault(t, allowSome)
	preamble := `split-clef/1 {"origin":"https://app.example.org","ua":"node","uid":1000}` + "\n"
	got := w.ask(t, "account_signTransaction", preamble+` { "method":"account_signTrans\u0061ction", "params":`+transaction(`,"value":"0xa"`)+`, "id":7,"jsonrpc":"2.0"}`)
	if got != `{"jsonrpc":"2.0","id":7,"result":"0xf63c"}` {
		t.Error(got)
	}
	if len(w.clef.got) != 1 || w.clef.got[0] != `{"jsonrpc":"2.0","id":7,"method":"account_signTransaction","params":`+transaction(`,"value":"0xa"`)+`}` {
		t.Errorf("Clef got %s", w.clef.got)
	}
	if w.clef.from[0] != (clefbackend.Caller{Qube: "work", Origin: "https://app.example.org", UserAgent: "node"}) {
		t.Errorf("said to be from %+v", w.clef.from[0])
	}
	last := w.hook.LastEntry()
	want := logrus.Fields{
		journal.Method: "account_signTransaction", journal.Key: accountA, journal.Origin: journal.Quote("https://app.example.org"),
		journal.Rule: "rules.toml:8", journal.Verdict: w.Rules.Judge(rulesRequest()).Decision,
	}
	if last.Message != "signed" || fmt.Sprint(last.Data) != fmt.Sprint(want) {
		t.Errorf("logged %s %v", last.Message, last.Data)
	}
}

func TestWhatIsNotAllowedDoesNotReachClef(t *testing.T) {
	t.Parallel()
	w := vault(t, allowSome)
	for name, row := range map[string]struct {
		argument, body string
		code           int
		says           string
	}{
		"new account":      {"", req("account_new", `[]`), 4100, "account_new is not allowed for qube work"},
		"seed's request":   {"", `{ "id": 0, "jsonrpc": "2.0","method": "account_new","params": []}`, 4100, ""},
		"one wei more":     {"", req("account_signTransaction", transaction(`,"value":"0xb"`)), 4100, ""},
		"with call data":   {"", req("account_signTransaction", transaction(`,"value":"0x1","data":"0xa9059cbb"`)), 4100, ""},
		"other account":    {"", req("account_signTransaction", strings.Replace(transaction(""), accountA, accountB, 1)), 4100, "account_signTransaction is not allowed for qube work"},
		"typed data":       {"", req("account_signTypedData", `["`+accountA+`",{"types":{"EIP712Domain":[{"name":"name","type":"string"}],"M":[{"name":"t","type":"string"}]},"primaryType":"M","domain":{"name":"x"},"message":{"t":""}}]`), 4100, ""},
		"other method":     {"account_list", req("account_version", `[]`), -32600, "the call is for"},
		"case folding":     {"", `{"jsonrpc":"2.0","id":1,"method":"account_list","METHOD":"account_new"}`, -32700, ""},
		"To beside to":     {"", req("account_signTransaction", transaction(`,"To":"0x2222222222222222222222222222222222222222"`)), -32700, ""},
		"VALUE alone":      {"", req("account_signTransaction", transaction(`,"VALUE":"0x7"`)), -32602, "unknown key"},
		"notification":     {"", `{"jsonrpc":"2.0","method":"account_list","params":[]}`, -32600, ""},
		"batch":            {"", `[` + req("account_list", `[]`) + `]`, -32600, ""},
		"two requests":     {"", req("account_version", `[]`) + req("account_list", `[]`), -32700, ""},
		"eth method":       {"", req("eth_sendTransaction", `[]`), 4200, "not supported"},
		"unknown method":   {"", req("account_foo", `[]`), -32601, "does not exist"},
		"rpc":              {"", req("rpc_modules", `[]`), 4100, ""},
		"nothing":          {"", "", -32700, ""},
		"bad first line":   {"", "split-clef/1 {\"ua\":\"<b>\"}\n" + req("account_version", `[]`), -32600, "split-clef"},
		"another's marker": {"", `{"jsonrpc":"2.0","id":"splitvault-guard","method":"account_version","params":[]}`, 4900, "client and vault"},
		"too large":        {"", req("account_version", `[]`) + strings.Repeat(" ", clefcall.MaxCall), -32600, "too large"},
	} {
		got := w.ask(t, row.argument, row.body)
		if !strings.Contains(got, fmt.Sprintf(`"error":{"code":%d,`, row.code)) || !strings.Contains(got, row.says) {
			t.Errorf("%s: %s", name, got)
		}
		if e := w.hook.LastEntry(); e.Level != logrus.WarnLevel || fmt.Sprint(e.Data[journal.Verdict]) != "deny" {
			t.Errorf("%s: logged as %v %q %v", name, e.Level, e.Message, e.Data)
		}
	}
	if len(w.clef.got) != 0 {
		t.Errorf("Clef got %s", w.clef.got)
	}
	// Whether an account exists is not told: Clef was not even asked.
	if a, b := w.ask(t, "", req("account_signData", `["text/plain","`+accountA+`","0x00"]`)), w.ask(t, "", req("account_signData", `["text/plain","`+accountB+`","0x00"]`)); a != b {
		t.Errorf("%s\n%s", a, b)
	}
	if zero := (&clefguard.Guard{Qube: "work", Log: w.Log}); !strings.Contains(world{zero, w.clef, w.hook}.ask(t, "", req("account_version", `[]`)), "4100") {
		t.Error("no rules allow something")
	}
}

// A request can offer any price for gas: the fee alone could take all there is.
func TestAttackAHighFeeEmptiesNoAccount(t *testing.T) {
	t.Parallel()
	const rule = "[[clef.rule]]\nqube = \"work\"\nmethods = [\"account_signTransaction\"]\nmax_value = \"1 wei\"\nmax_fee = \"0.000021 ether\"\ncalls = [\"none\"]\ndecision = \"allow\"\n"
	for price, allowed := range map[string]bool{
		`"gasPrice":"0x3b9aca00"`: true, `"gasPrice":"0x3b9aca01"`: false,
		`"maxFeePerGas":"0x3b9aca00","maxPriorityFeePerGas":"0x1"`: true, `"maxFeePerGas":"0x3b9aca01","maxPriorityFeePerGas":"0x1"`: false,
	} {
		w := vault(t, rule)
		got := w.ask(t, "", req("account_signTransaction", strings.Replace(transaction(""), `"gasPrice":"0x3b9aca00"`, price, 1)))
		if strings.Contains(got, "result") != allowed || (len(w.clef.got) == 1) != allowed {
			t.Errorf("%s: %s", price, got)
		}
	}
}

// The code of a delegate call, and the refund of gas, can take all that a Safe has,
// whatever the rule says of value, recipient and call.
func TestAttackASafesDelegateCallOrRefundEvadesNoBound(t *testing.T) {
	t.Parallel()
	const rule = "[[clef.rule]]\nqube = \"work\"\nmethods = [\"account_signGnosisSafeTx\"]\n"
	safe := func(more string) string {
		return req("account_signGnosisSafeTx", `["`+accountA+`",{"safe":"`+to+`","to":"`+to+`","value":"1","data":"0xd0e30db0"`+more+`}]`)
	}
	for name, row := range map[string]struct {
		keys, more string
		allowed    bool
	}{
		"a call within the bounds":   {`max_value = "1 wei"` + "\nto = [\"" + to + "\"]\ncalls = [\"deposit\"]\n", "", true},
		"a delegate call, max_value": {`max_value = "1 wei"` + "\n", `,"operation":1`, false},
		"a delegate call, to":        {"to = [\"" + to + "\"]\n", `,"operation":1`, false},
		"a delegate call, calls":     {"calls = [\"deposit\"]\n", `,"operation":1`, false},
		"a refund, max_value":        {`max_value = "1 wei"` + "\n", `,"gasPrice":"1","baseGas":"99999999999999999999","refundReceiver":"` + accountB + `"`, false},
		"a refund, to":               {"to = [\"" + to + "\"]\n", `,"gasPrice":"1"`, false},
		"a delegate call, no bound":  {"", `,"operation":1`, true},
		"a delegate call, accounts":  {"accounts = [\"" + accountA + "\"]\n", `,"operation":1`, true},
	} {
		w := vault(t, rule+row.keys+"decision = \"allow\"\n")
		got := w.ask(t, "", safe(row.more))
		if strings.Contains(got, "result") != row.allowed || (len(w.clef.got) == 1) != row.allowed {
			t.Errorf("%s: %s", name, got)
		}
	}
	// A denial is one all the same.
	w := vault(t, rule+"to = [\""+to+"\"]\ndecision = \"deny\"\n"+rule+"decision = \"allow\"\n")
	if got := w.ask(t, "", safe(`,"operation":1`)); !strings.Contains(got, "4100") {
		t.Errorf("a denial: %s", got)
	}
}

// The same as typed data is a transaction of the Safe that any method of signing gives.
func TestAttackASafesTransactionAsTypedDataEvadesNoBound(t *testing.T) {
	t.Parallel()
	typed := func(primary, operation string) string {
		return `{"types":{"EIP712Domain":[{"name":"chainId","type":"uint256"},{"name":"verifyingContract","type":"address"}],"` + primary +
			`":[{"name":"to","type":"address"},{"name":"operation","type":"uint8"}]},"primaryType":"` + primary +
			`","domain":{"chainId":"1","verifyingContract":"` + to + `"},"message":{"to":"` + accountB + `","operation":"` + operation + `"}}`
	}
	hexed := func(text string) string { return fmt.Sprintf("0x%x", text) }
	for name, row := range map[string]struct {
		keys, method, params string
		allowed              bool
	}{
		"a delegate call, to":             {"to = [\"" + to + "\"]\n", "account_signTypedData", `["` + accountA + `",` + typed("SafeTx", "1") + `]`, false},
		"a call, to":                      {"to = [\"" + to + "\"]\n", "account_signTypedData", `["` + accountA + `",` + typed("SafeTx", "0") + `]`, false},
		"a delegate call, by signData":    {"to = [\"" + to + "\"]\n", "account_signData", `["data/typed","` + accountA + `","` + hexed(typed("SafeTx", "1")) + `"]`, false},
		"a delegate call, no bound":       {"", "account_signTypedData", `["` + accountA + `",` + typed("SafeTx", "1") + `]`, true},
		"something else for the contract": {"to = [\"" + to + "\"]\n", "account_signTypedData", `["` + accountA + `",` + typed("Vote", "1") + `]`, true},
	} {
		w := vault(t, "[[clef.rule]]\nqube = \"work\"\nmethods = [\""+row.method+"\"]\n"+row.keys+"decision = \"allow\"\n")
		got := w.ask(t, "", req(row.method, row.params))
		if (len(w.clef.got) == 1) != row.allowed {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestAListShowsWhatTheRulesShow(t *testing.T) {
	t.Parallel()
	w := vault(t, allowSome)
	if got := w.ask(t, "account_list", req("account_list", `[]`)); got != `{"jsonrpc":"2.0","id":"mine","result":["`+strings.ToLower(accountA)+`"]}` {
		t.Error(got)
	}
	if e := w.hook.LastEntry(); e.Message != "keys listed" || e.Data[journal.Key] != accountA || e.Data[journal.Count] != 1 {
		t.Errorf("%s %v", e.Message, e.Data)
	}
	for _, odd := range []string{`"0x9d"`, `{}`, `["0x9d"]`, `[1]`, `null`, `["` + accountA + `",null]`} {
		w.clef.says = `{"jsonrpc":"2.0","id":1,"result":` + odd + `}`
		if got := w.ask(t, "", req("account_list", `[]`)); !strings.Contains(got, "4900") {
			t.Errorf("%s: %s", odd, got)
		}
	}
}

const askAll = "[[clef.rule]]\nqube = \"work\"\ndecision = \"ask\"\nremember = \"1m\"\n"

func TestOnlyAYesReachesClef(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		person *person
		passes bool
		says   string
	}{
		"yes":            {&person{answer: consent.Answer{Reason: consent.Once}}, true, ""},
		"by a grant":     {&person{answer: consent.Answer{Reason: consent.Granted}}, true, ""},
		"no":             {&person{answer: consent.Answer{Reason: consent.Denied}}, false, "User denied: denied by the person"},
		"closed":         {&person{answer: consent.Answer{Reason: consent.Closed}}, false, "User denied: "},
		"nothing":        {&person{}, false, "User denied: not answered"},
		"yes and broken": {&person{answer: consent.Answer{Reason: consent.Once}, err: errors.New("cut short")}, false, "User denied: nobody could be asked"},
		"nobody":         {nil, false, "User denied: nobody can be asked"},
	} {
		w := vault(t, askAll)
		if row.person != nil {
			w.Person = row.person
		}
		got := w.ask(t, "", req("account_signTransaction", transaction(`,"value":"0x1"`)))
		if (len(w.clef.got) == 1) != row.passes || strings.Contains(got, "result") != row.passes || !strings.Contains(got, row.says) {
			t.Errorf("%s: %s, Clef got %s", name, got, w.clef.got)
		}
		if !row.passes && !strings.Contains(got, `"code":4001`) {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// A person is told what happens, to whom, how much and where, whatever the client
// writes into the request.
func TestAPersonIsToldWhatItIsAbout(t *testing.T) {
	t.Parallel()
	word := strings.Repeat("0", 24) + to[2:]
	for name, row := range map[string]struct {
		method, params string
		want           []string
	}{
		"payment":  {"account_signTransaction", transaction(`,"value":"0x6f05b59d3b20000"`), []string{"Allow the qube work to send 0.5 ether?", "To: " + to, "Chain: 1337 (a local one, for tests)", "Fee: at most 0.000021 ether", "Account: " + accountA}},
		"approval": {"account_signTransaction", transaction(`,"data":"0x095ea7b3` + word + strings.Repeat("f", 64) + `"`), []string{"let another take ALL of a token (approve)?", "Call: approve, UNLIMITED", "Spender (call): " + to}},
		"large":    {"account_signTransaction", transaction(`,"data":"0x095ea7b3` + word + "7" + strings.Repeat("f", 63) + `"`), []string{"let another take ALL of a token (approve)?", "Call: approve, UNLIMITED"}},
		"some":     {"account_signTransaction", transaction(`,"data":"0x095ea7b3` + word + strings.Repeat("0", 62) + `0a"`), []string{"let another take tokens (approve)?", "Amount or token (call): 10 "}},
		"a hash":   {"account_signData", `["text/plain","` + accountA + `","0x` + strings.Repeat("f1", 32) + `"]`, []string{"sign bytes that are NO TEXT?", "Kind: it can be the hash of anything", "Length: 32 bytes"}},
		"permit2": {
			"account_signTypedData", `["` + accountA + `",{"types":{"EIP712Domain":[{"name":"verifyingContract","type":"address"}],"PermitSingle":[{"name":"details","type":"PermitDetails"},{"name":"spender","type":"address"}],"PermitDetails":[{"name":"token","type":"address"},{"name":"amount","type":"uint160"}]},"primaryType":"PermitSingle","domain":{"verifyingContract":"` + to + `"},"message":{"spender":"` + to + `","details":{"token":"` + accountA + `","amount":"999"}}}]`,
			[]string{"a PERMIT", "May be taken: 999 (smallest units) of " + accountA, "Spender: " + to},
		},
		"payment by who holds it": {
			"account_signTypedData", `["` + accountA + `",{"types":{"EIP712Domain":[{"name":"verifyingContract","type":"address"}],"TransferWithAuthorization":[{"name":"value","type":"uint256"}]},"primaryType":"TransferWithAuthorization","domain":{"verifyingContract":"` + to + `"},"message":{"value":"9"}}]`,
			[]string{"a PAYMENT"},
		},
		"contract": {"account_signTransaction", strings.Replace(transaction(`,"data":"0x600160"`), `"to":"`+to+`",`, "", 1), []string{"create a contract", "To: a NEW CONTRACT, 3 bytes of code"}},
		"unknown":  {"account_signTransaction", transaction(`,"data":"0xdeadbeef00"`), []string{"call a contract", "Call: 0xdeadbeef, 5 bytes: NOT UNDERSTOOD HERE"}},
		"text":     {"account_signData", `["text/plain","` + accountA + `","0x` + fmt.Sprintf("%x", "hi\n<b>\u202e") + `"]`, []string{"sign a text?", `Text: hi\x0a<b>\xe2\x80\xae`, "Length: 9 bytes"}},
		"permit": {
			"account_signTypedData", `["` + accountA + `",{"types":{"EIP712Domain":[{"name":"name","type":"string"},{"name":"verifyingContract","type":"address"}],"Permit":[{"name":"spender","type":"address"},{"name":"value","type":"uint256"}]},"primaryType":"Permit","domain":{"name":"Tok\nen","verifyingContract":"` + to + `"},"message":{"spender":"` + to + `","value":"999"}}]`,
			[]string{"let another take tokens (Permit)?", "a PERMIT", `Domain: Tok\x0aen`, "Contract: " + to, "May be taken: 999 (smallest units) of the contract's token", "Chain: not said"},
		},
		"safe": {"account_signGnosisSafeTx", `["` + accountA + `",{"safe":"` + to + `","to":"` + to + `","value":"1","operation":1}]`, []string{"run foreign code AS the Safe itself", "DELEGATE CALL"}},
		"list": {"account_list", `[]`, []string{"see accounts of this vault?", "Accounts: all that Clef shows"}},
		"huge": {"account_signData", `["text/plain","` + accountA + `","0x` + strings.Repeat("41", 100_000) + `"]`, []string{"Length: 100000 bytes"}},
	} {
		w, p := vault(t, askAll), &person{}
		w.Person = p
		w.ask(t, "", `split-clef/1 {"origin":"https://app.example.org"}`+"\n"+req(row.method, row.params))
		if len(p.asked) != 1 {
			t.Errorf("%s: asked %d times: %v", name, len(p.asked), w.hook.LastEntry())
			continue
		}
		var all []string
		for _, l := range p.asked[0].Lines {
			all = append(all, strings.TrimPrefix(l.Label+": "+l.Text, ": "))
			if (l.Label == "Page") != l.Claimed {
				t.Errorf("%s: %+v", name, l)
			}
		}
		text := strings.Join(all, "\n")
		for _, want := range append(row.want, "Page: https://app.example.org") {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %q in\n%s", name, want, text)
			}
		}
		if err := p.asked[0].Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A grant is for the same request only.
func TestAnotherRequestIsAnotherQuestion(t *testing.T) {
	t.Parallel()
	keys := map[string]string{}
	for _, body := range []string{
		req("account_signTransaction", transaction(`,"value":"0x1"`)), req("account_signTransaction", transaction(`,"value":"0x2"`)),
		req("account_signTransaction", transaction(`,"value":"0x1","data":"0x00"`)), req("account_list", `[]`),
		`split-clef/1 {"origin":"https://a"}` + "\n" + req("account_list", `[]`), req("account_signData", `["text/plain","`+accountA+`","0x00"]`),
		req("account_signData", `["text/plain","`+accountB+`","0x00"]`),
	} {
		w, p := vault(t, askAll), &person{}
		w.Person = p
		w.ask(t, "", body)
		if other, double := keys[p.asked[0].Key()]; double {
			t.Errorf("%s\nand %s\nare one question", body, other)
		}
		keys[p.asked[0].Key()] = body
	}
}

func TestClefsErrorsAreTranslated(t *testing.T) {
	t.Parallel()
	for says, want := range map[string]string{
		`-32000,"message":"request denied"`:    `{"code":4001,"message":"User denied: rejected in Clef","data":"request denied"}`,
		`-32000,"message":"unknown account"`:   `{"code":-32000,"message":"unknown account"}`,
		`-32002,"message":"request timed out"`: `"code":4001,"message":"User denied: no answer within 30 s`,
		`-32603,"message":"panic"`:             `{"code":-32000,"message":"panic"}`, `-32005,"message":"limit"`: `{"code":-32000,"message":"limit"}`,
		`-32602,"message":"x"`: `{"code":-32602,"message":"x"}`,
	} {
		w := vault(t, allowSome)
		w.clef.says = `{"jsonrpc":"2.0","id":1,"error":{"code":` + says + `}}`
		if got := w.ask(t, "", req("account_version", `[]`)); !strings.Contains(got, want) {
			t.Errorf("%s: %s", says, got)
		}
		if e := w.hook.LastEntry(); e.Level > logrus.WarnLevel {
			t.Errorf("%s: logged as %v", says, e.Level)
		}
	}
	for err, want := range map[error]string{
		clefstart.ErrLocked: "signer not ready: unlock Clef in vault", clefstart.ErrNotInstalled: "signer not ready: Clef is not installed in vault",
		clefstart.ErrCrashed: "signer not ready: Clef was started and ended in vault", clefstart.ErrNoSession: "no session to show Clef in in vault",
		clefbackend.ErrNotClef: "what listens in vault is not Clef", clefbackend.ErrLoop: "client and vault", clefbackend.ErrDown: "Clef does not answer in vault",
	} {
		w := vault(t, askAll)
		w.Connect = func(context.Context) (clefguard.Backend, error) { return nil, fmt.Errorf("secret: %w", err) }
		p := &person{}
		w.Person = p
		got := w.ask(t, "", req("account_version", `[]`))
		if !strings.Contains(got, `"code":4900`) || !strings.Contains(got, want) || strings.Contains(got, "secret") || len(p.asked) != 0 {
			t.Errorf("%v: %s", err, got)
		}
	}
	w := vault(t, allowSome)
	w.clef.fails = clefbackend.ErrBroken
	if got := w.ask(t, "", req("account_version", `[]`)); !strings.Contains(got, "4900") || !strings.Contains(got, "may have signed") {
		t.Error(got)
	}
}

// After a no in Clef's own prompt the qube has to wait before the next one.
func TestARefusalInClefHoldsTheNextSignature(t *testing.T) {
	t.Parallel()
	mark, err := cooldown.Open(t.TempDir(), "work")
	if err != nil {
		t.Fatal(err)
	}
	defer mark.Close()
	w := vault(t, allowSome)
	w.Refused, w.Rules.Cooldown = mark, time.Hour
	sign := req("account_signTransaction", transaction(""))
	w.clef.says = `{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"request denied"}}`
	w.ask(t, "", sign)
	w.clef.says = ""
	if got := w.ask(t, "", sign); !strings.Contains(got, "4001") || !strings.Contains(got, "try again in") || len(w.clef.got) != 1 {
		t.Errorf("%s, Clef got %s", got, w.clef.got)
	}
	if got := w.ask(t, "", req("account_version", `[]`)); !strings.Contains(got, "result") {
		t.Errorf("what makes no signature: %s", got)
	}
	w.Rules.Cooldown = 0
	if got := w.ask(t, "", sign); !strings.Contains(got, "result") {
		t.Errorf("later: %s", got)
	}
	w.Busy = true
	if got := w.ask(t, "", sign); !strings.Contains(got, "User denied: another request is pending") {
		t.Errorf("too many: %s", got)
	}
}

// Nothing takes back a prompt of Clef's. A qube that hangs up, or has Clef's server give
// up, again and again would fill the vault's screen with prompts for nobody.
func TestAttackPromptsLeftBehindInClefAreNotPiledUp(t *testing.T) {
	t.Parallel()
	sign := req("account_signTransaction", transaction(""))
	for name, leave := range map[string]func(w world){
		"the client hangs up": func(w world) {
			ctx, cancel := context.WithCancelCause(t.Context())
			w.clef.during = func() { cancel(clefguard.ErrGone) }
			if _, err := w.Serve(ctx, "", []byte(sign)); !errors.Is(err, clefguard.ErrGone) {
				t.Error(err)
			}
			w.clef.during = nil
		},
		"Clef's server gives up": func(w world) {
			w.clef.says = `{"jsonrpc":"2.0","id":1,"error":{"code":-32002,"message":"request timed out"}}`
			w.ask(t, "", sign)
			w.clef.says = ""
		},
	} {
		mark, err := cooldown.Open(t.TempDir(), "work")
		if err != nil {
			t.Fatal(err)
		}
		defer mark.Close()
		w := vault(t, allowSome)
		w.Refused, w.Rules.Cooldown = mark, time.Hour
		leave(w)
		if got := w.ask(t, "", sign); !strings.Contains(got, "4001") || !strings.Contains(got, "try again in") || len(w.clef.got) != 1 {
			t.Errorf("%s: %s, Clef got %d requests", name, got, len(w.clef.got))
		}
	}
	// What opens no prompt for a signature leaves none.
	mark, err := cooldown.Open(t.TempDir(), "work")
	if err != nil {
		t.Fatal(err)
	}
	defer mark.Close()
	w := vault(t, allowSome)
	w.Refused, w.Rules.Cooldown = mark, time.Hour
	ctx, cancel := context.WithCancelCause(t.Context())
	w.clef.during = func() { cancel(clefguard.ErrGone) }
	_, _ = w.Serve(ctx, "", []byte(req("account_version", `[]`)))
	w.clef.during = nil
	if got := w.ask(t, "", sign); !strings.Contains(got, "result") {
		t.Error(got)
	}
}

func TestARateThatCannotBeCountedAsks(t *testing.T) {
	t.Parallel()
	w := vault(t, "[[clef.rule]]\nqube = \"work\"\ndecision = \"allow\"\nrate = \"1/h\"\n")
	if got := w.ask(t, "", req("account_version", `[]`)); !strings.Contains(got, "User denied: nobody can be asked") {
		t.Error(got)
	}
}

func TestWhatCannotBeRecordedIsNotGiven(t *testing.T) {
	t.Parallel()
	w := vault(t, allowSome)
	w.Lost = func() error { return errors.New("disk full") }
	if got := w.ask(t, "", req("account_signTransaction", transaction(""))); !strings.Contains(got, "4900") || strings.Contains(got, "f63c") {
		t.Error(got)
	}
}

func TestAClientThatIsGoneGetsNothing(t *testing.T) {
	t.Parallel()
	w := vault(t, allowSome)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(clefguard.ErrGone)
	if reply, err := w.Serve(ctx, "", []byte(req("account_version", `[]`))); reply != nil || !errors.Is(err, clefguard.ErrGone) {
		t.Errorf("%q, %v", reply, err)
	}
}
