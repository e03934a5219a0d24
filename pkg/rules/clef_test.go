package rules

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/splitvault/splitvault/pkg/clefapi"
	"github.com/splitvault/splitvault/pkg/eth"
)

const (
	accountA = "0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F"
	accountB = "0x1111111111111111111111111111111111111111"
)

func parseClef(t *testing.T, text string) *ClefFile {
	t.Helper()
	file, err := ParseClef("rules.toml", []byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return file
}

func addr(text string) eth.Address { return eth.Address(strings.ToLower(text)) }

func wei(n int64) eth.Amount { return eth.Wei(big.NewInt(n)) }

func TestTheFirstClefRuleDecides(t *testing.T) {
	t.Parallel()
	clef := parseClef(t, `
[clef]
backend = "unix:~/.clef/clef.ipc"
cooldown = "0s"
pending = 2

[[clef.rule]]
qube = "work"
methods = ["account_signTransaction"]
accounts = ["`+accountA+`"]
chains = [1, 11155111]
to = ["`+accountB+`"]
max_value = "0.5 ether"
max_fee = "0.01 ether"
calls = ["none", "transfer"]
origins = ["https://app.example.org"]
decision = "allow"
rate = "2/h"

[[clef.rule]]
qube = "work"
methods = ["account_signTransaction", "account_signTypedData"]
chains = [1]
decision = "ask"
remember = "1m"

[[clef.rule]]
qube = "work"
methods = ["account_list", "account_version"]
accounts = ["`+strings.ToLower(accountA)+`"]
decision = "allow"

[[clef.rule]]
qube = "home"
methods = ["account_signData"]
content_types = ["text/plain"]
decision = "ask"
`).Clef
	if clef.Backend != (Backend{"unix", "~/.clef/clef.ipc"}) || clef.Cooldown != 0 || clef.Pending != 2 {
		t.Errorf("%+v", clef)
	}
	good := ClefRequest{
		Qube: "work", Method: clefapi.SignTransaction, Origin: "https://app.example.org", Account: addr(accountA), Chain: 1,
		To: addr(accountB), Value: wei(500_000_000_000_000_000), Fee: wei(10_000_000_000_000_000), Call: []string{"none"},
	}
	change := func(f func(r *ClefRequest)) ClefRequest {
		r := good
		f(&r)
		return r
	}
	for name, row := range map[string]struct {
		r    ClefRequest
		want Decision
	}{
		"all fits":          {good, Allow},
		"other chain":       {change(func(r *ClefRequest) { r.Chain = 5 }), Deny},
		"no chain":          {change(func(r *ClefRequest) { r.Chain = 0 }), Deny},
		"one wei more":      {change(func(r *ClefRequest) { r.Value = wei(500_000_000_000_000_001) }), Ask},
		"a wei more of fee": {change(func(r *ClefRequest) { r.Fee = wei(10_000_000_000_000_001) }), Ask},
		"no fee":            {change(func(r *ClefRequest) { r.Fee = eth.Amount{} }), Ask},
		"no value":          {change(func(r *ClefRequest) { r.Value = eth.Amount{} }), Ask},
		"other account":     {change(func(r *ClefRequest) { r.Account = addr(accountB) }), Ask},
		"other recipient":   {change(func(r *ClefRequest) { r.To = addr(accountA) }), Ask},
		"creates":           {change(func(r *ClefRequest) { r.To, r.Creates = "", true }), Ask},
		"known call":        {change(func(r *ClefRequest) { r.Call = []string{"0xa9059cbb", "transfer"} }), Allow},
		"malformed call":    {change(func(r *ClefRequest) { r.Call = []string{"0xa9059cbb"} }), Ask},
		"other page":        {change(func(r *ClefRequest) { r.Origin = "https://evil.example.org" }), Ask},
		"no page":           {change(func(r *ClefRequest) { r.Origin = "" }), Ask},
		"page called none":  {change(func(r *ClefRequest) { r.Origin = "none" }), Ask},
		"other qube":        {change(func(r *ClefRequest) { r.Qube = "works" }), Deny},
		"typed data":        {ClefRequest{Qube: "work", Method: clefapi.SignTypedData, Account: addr(accountA), Chain: 1}, Ask},
		"typed, no chain":   {ClefRequest{Qube: "work", Method: clefapi.SignTypedData, Account: addr(accountA)}, Deny},
		"list of A":         {ClefRequest{Qube: "work", Method: clefapi.List, Account: addr(accountA)}, Allow},
		"list of B":         {ClefRequest{Qube: "work", Method: clefapi.List, Account: addr(accountB)}, Deny},
		"version":           {ClefRequest{Qube: "work", Method: clefapi.Version}, Allow},
		"new":               {ClefRequest{Qube: "work", Method: clefapi.New}, Deny},
		"unknown method":    {ClefRequest{Qube: "work", Method: "eth_sign"}, Deny},
		"text":              {ClefRequest{Qube: "home", Method: clefapi.SignData, ContentType: "text/plain"}, Ask},
		"clique header":     {ClefRequest{Qube: "home", Method: clefapi.SignData, ContentType: "application/x-clique-header"}, Deny},
		"content type text": {ClefRequest{Qube: "home", Method: clefapi.SignData, ContentType: "Text/Plain"}, Deny},
	} {
		v := clef.Judge(row.r)
		if v.Decision != row.want {
			t.Errorf("%s: %+v", name, v)
		}
		explained, steps := clef.Explain(row.r)
		if explained != v || len(steps) == 0 || (steps[len(steps)-1].Missed == "") != strings.HasPrefix(v.Rule, "rules.toml:") {
			t.Errorf("%s: explained as %+v, %+v", name, explained, steps)
		}
	}
	if v := clef.Judge(good); v.Rate.Count != 2 || v.Remember != 5*time.Minute {
		t.Errorf("%+v", v)
	}
	if !clef.Serves("work", "") || !clef.Serves("work", clefapi.List) || clef.Serves("work", clefapi.New) || clef.Serves("x", "") ||
		!clef.Asks("work", clefapi.SignTransaction) || clef.Asks("work", clefapi.List) || len(clef.Rated("work", "")) != 1 || len(clef.Rated("home", "")) != 0 {
		t.Error("what could be served, asked or counted is wrong")
	}
}

func TestTheClefDefaultAsksAboutSignaturesAndDeniesTheRest(t *testing.T) {
	t.Parallel()
	clef := DefaultClef().Clef
	for _, m := range clefapi.Methods() {
		want := Deny
		switch {
		case m == clefapi.Version:
			want = Allow
		case m == clefapi.List || strings.HasPrefix(m, "account_sign"):
			want = Ask
		}
		v := clef.Judge(ClefRequest{Qube: "any", Method: m, ContentType: map[bool]string{true: "text/plain"}[m == clefapi.SignData]})
		if v.Decision != want {
			t.Errorf("%s: %v", m, v.Decision)
		}
	}
	if v := clef.Judge(ClefRequest{Qube: "any", Method: clefapi.SignData, ContentType: "application/x-clique-header"}); v.Decision != Deny {
		t.Errorf("headers of blocks: %+v", v)
	}
	for i := range clef.Rules { // its text is what explain shows
		again := parseClef(t, clef.Rules[i].source.text).Clef.Rules[0]
		again.source = clef.Rules[i].source
		if fmt.Sprint(again.methods(), *again.Decision, again.Qube) != fmt.Sprint(clef.Rules[i].methods(), *clef.Rules[i].Decision, clef.Rules[i].Qube) {
			t.Errorf("%s\nis not what it does", clef.Rules[i].source.text)
		}
	}
}

func TestAListIsJudgedBeforeAccountsAreKnown(t *testing.T) {
	t.Parallel()
	rule := func(decision string, accounts ...string) string {
		text := fmt.Sprintf("[[clef.rule]]\nqube = \"work\"\nmethods = [\"account_list\"]\ndecision = %q\n", decision)
		if accounts != nil {
			text += fmt.Sprintf("accounts = [%q]\n", strings.Join(accounts, `","`))
		}
		return text
	}
	for name, row := range map[string]struct {
		text     string
		want     Decision
		accounts int // -1 for all
	}{
		"no rule":         {"", Deny, 0},
		"some allowed":    {rule("allow", accountA), Allow, 1},
		"some asked":      {rule("allow", accountA) + rule("ask", accountB), Ask, 2},
		"rest asked":      {rule("allow", accountA) + rule("ask"), Ask, -1},
		"denied first":    {rule("deny") + rule("allow", accountA), Deny, 0},
		"some denied":     {rule("deny", accountA) + rule("allow"), Allow, -1},
		"asked, not rest": {rule("ask", accountA) + rule("deny") + rule("allow"), Ask, 1},
	} {
		v, accounts := parseClef(t, row.text).Clef.JudgeList("work", "")
		if n := len(accounts); v.Decision != row.want || (accounts == nil) != (row.accounts < 0) || row.accounts >= 0 && n != row.accounts {
			t.Errorf("%s: %+v, %v", name, v, accounts)
		}
	}
}

func TestClefMistakesAreReportedWithLineAndHint(t *testing.T) {
	t.Parallel()
	const rule = "[[clef.rule]]\nqube = \"work\"\ndecision = \"allow\"\n"
	const deny = "[[clef.rule]]\nqube = \"work\"\ndecision = \"deny\"\n"
	for _, row := range []struct {
		text    string
		line    int
		warning bool
		want    string
	}{
		{rule + "method = [\"account_list\"]\n", 4, false, "a rule of [[clef.rule]] has"},
		{"[clef]\nbackends = \"x\"\n", 2, false, "[clef] has backend"},
		{"[[clef.peer]]\nip = \"10.0.0.1\"\n", 2, false, "address and name"},
		{rule + "methods = [\"eth_*\"]\n", 4, false, "matches no method of Clef"},
		{rule + "methods = []\n", 4, false, "matches nothing"},
		{rule + "accounts = [\"0x12\"]\n", 4, false, "not an address"},
		{rule + "accounts = [\"0x9D8A62f656a8d1615C1294fd71e9CFb3E4855A4F\"]\n", 4, false, "mistyped"},
		{rule + "chains = [0]\n", 4, false, "0 is no chain"},
		{rule + "chains = [\"1\"]\n", 4, false, ""},
		{rule + "to = [\"all\"]\n", 4, false, "create"},
		{rule + "max_value = 5\n", 0, false, "0.5 ether"},
		{rule + "max_value = \"5\"\n", 4, false, "0.5 ether"},
		{rule + "calls = [\"mint\"]\n", 4, false, "selector"},
		{rule + "content_types = [\"text/html\"]\n", 4, false, "no content type"},
		{rule + "origins = [\"app.example.org\"]\n", 4, false, "https://app.example.org"},
		{rule + "origins = [\"null\"]\n", 4, false, "https://app.example.org"},
		{rule + "max_value = \"1 ether\"\n", 4, true, `calls = ["none"]`},
		{rule + "max_value = \"1 ether\"\ncalls = [\"none\"]\n", 4, true, `add max_fee = "0.01 ether"`},
		{rule + "max_fee = 5\n", 0, false, "0.5 ether"},
		{rule + "methods = [\"account_signGnosisSafeTx\"]\nmax_fee = \"1 ether\"\n", 5, false, "never matches account_signGnosisSafeTx"},
		{deny + "methods = [\"account_signTransaction\"]\nmax_fee = \"1 ether\"\n", 5, false, "small fees"},
		{rule + "methods = [\"account_signTransaction\"]\nmax_fee = \"1 wei\"\n" + rule + "methods = [\"account_signTransaction\"]\nmax_fee = \"1 wei\"\n", 6, true, "never reached"},
		{rule + "methods = [\"account_signData\"]\nmax_value = \"1 ether\"\ncalls = [\"none\"]\n", 5, false, "never matches account_signData"},
		{rule + "methods = [\"account_sign*\"]\ncalls = [\"none\"]\n", 5, true, "never matches account_signData, account_signTypedData"},
		{rule + "remember = \"5m\"\n", 4, true, "never asks"},
		{deny + "chains = [5]\n", 4, false, "denies it altogether"},
		{deny + "methods = [\"account_signTransaction\"]\nmax_value = \"1 ether\"\n", 5, false, "small amounts"},
		{deny + "origins = [\"https://x\"]\n", 4, true, "own word"},
		{deny + "rate = \"1/s\"\n", 4, true, "no effect"},
		{"[[clef.rule]]\ndecision = \"ask\"\n", 1, false, "names no qube"},
		{"[[clef.rule]]\nqube = \"work\"\n", 1, false, "decides nothing"},
		{rule + rule, 4, true, "never reached"},
		{rule + "[[clef.rule]]\nqube = \"work\"\nmethods = [\"account_sign*\"]\ndecision = \"deny\"\n", 4, true, "write it before line 1"},
		{"[clef]\nremember = \"1m\"\n[[clef.rule]]\nqube = \"work\"\ndecision = \"ask\"\nremember = \"5m\"\n", 6, true, "[clef] remember allows"},
		{"[clef]\npending = 0\n", 2, false, "1 to 64"},
		{"[clef]\nbackend = \"unix:~/.clef/clef.ipc\"\n" + rule, 5, true, "Clef's own prompt shows nothing of who asks"},
		{"[clef]\nbackend = \"unix:~/.clef/clef.ipc\"\n" + rule + "methods = [\"account_new\"]\n", 5, true, "lets account_new through unasked"},
		{"[clef]\nbackend = \"https://127.0.0.1:8550\"\n", 2, false, "no TLS"},
		{"[clef]\nbackend = \"http://clef:8550\"\n", 2, false, "no backend"},
		{"[clef]\nbackend = \"http://127.0.0.1\"\n", 2, false, "no backend"},
		{"[clef]\nbackend = \"http://127.0.0.1:8550/path\"\n", 2, false, "no backend"},
		{"[clef]\nbackend = \"http://user@127.0.0.1:8550\"\n", 2, false, "no backend"},
		{"[clef]\nbackend = \"unix:clef.ipc\"\n", 2, false, "no path of a socket"},
		{"[clef]\nbackend = \"127.0.0.1:8550\"\n", 2, false, "no backend"},
		{"[[clef.peer]]\naddress = \"10.137.0.0/16\"\nname = \"dapp\"\n", 2, false, "no address of one machine"},
		{"[[clef.peer]]\naddress = \"0.0.0.0\"\nname = \"dapp\"\n", 2, false, "no address of one machine"},
		{"[[clef.peer]]\naddress = \"10.137.0.12\"\nname = \"*\"\n", 3, false, "no name of a peer"},
		{"[[clef.peer]]\naddress = \"10.137.0.12\"\nname = \"a\"\n[[clef.peer]]\naddress = \"::ffff:10.137.0.12\"\nname = \"b\"\n", 5, false, "is the peer a already"},
		{"clef = { backend = \"http://127.0.0.1:8550\" }\n", 1, false, "a table of its own"},
		{"[clef]\nBackend = \"http://127.0.0.1:8550\"\n", 2, false, "lower case"},
	} {
		file, err := ParseClef("rules.toml", []byte(row.text))
		found := Problems(err)
		if err == nil {
			found = file.Warnings
		}
		if (err == nil) != row.warning || len(found) == 0 {
			t.Errorf("%q: %v, %v", row.text, err, found)
			continue
		}
		if i := slices.IndexFunc(found, func(p Problem) bool { return p.Line == row.line && strings.Contains(p.Error(), row.want) }); i < 0 {
			t.Errorf("%q: %v", row.text, found)
		}
	}
}

// Only what Clef asks a person about, unasked by the vault, is warned of.
func TestClefsSocketIsNoMistakeByItself(t *testing.T) {
	t.Parallel()
	const rule = "[[clef.rule]]\nqube = \"work\"\n"
	for _, text := range []string{
		rule + "decision = \"ask\"\n", rule + "methods = [\"account_version\"]\ndecision = \"allow\"\n", rule + "decision = \"deny\"\n",
	} {
		if found := parseClef(t, "[clef]\nbackend = \"unix:~/.clef/clef.ipc\"\n"+text).Warnings; len(found) != 0 {
			t.Errorf("%q: %v", text, found)
		}
		if found := parseClef(t, rule+"methods = [\"account_signData\"]\ndecision = \"allow\"\n").Warnings; len(found) != 0 {
			t.Errorf("over HTTP: %v", found)
		}
	}
}

// A mistake in one service's part denies nothing to the others.
func TestServicesDoNotSpoilEachOther(t *testing.T) {
	t.Parallel()
	const text = "[ssh]\nnonsense = 1\n[pass]\nNonsense = 1\n[[clef.rule]]\nqube = \"work\"\ndecision = \"ask\"\n"
	if _, err := ParseClef("rules.toml", []byte(text)); err != nil {
		t.Error(err)
	}
	if _, err := Parse("rules.toml", []byte("[clef]\nnonsense = 1\n")); err != nil {
		t.Error(err)
	}
}

func TestPeersAreKnownByTheirAddress(t *testing.T) {
	t.Parallel()
	clef := parseClef(t, "[[clef.peer]]\naddress = \"10.137.0.12\"\nname = \"dapp-net\"\n[[clef.peer]]\naddress = \"fd09:24ef:4179::a89:c\"\nname = \"six\"\n").Clef
	for from, want := range map[string]string{"10.137.0.12": "dapp-net", "::ffff:10.137.0.12": "dapp-net", "10.137.0.13": "", "fd09:24ef:4179::a89:c": "six", "::1": ""} {
		if name, known := clef.PeerName(netip.MustParseAddr(from)); name != want || known != (want != "") {
			t.Errorf("%s: %q, %v", from, name, known)
		}
	}
}

func TestBackendsAreExpanded(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Backend{
		"http://127.0.0.1:8550": {"tcp", "127.0.0.1:8550"}, "http://localhost:8550/": {"tcp", "127.0.0.1:8550"}, "http://[::1]:8550": {"tcp", "[::1]:8550"},
		"http://10.0.0.1:8550": {"tcp", "10.0.0.1:8550"}, "unix:~/.clef/clef.ipc": {"unix", "/home/user/.clef/clef.ipc"}, "unix:%t/clef.ipc": {"unix", "/run/user/1000/clef.ipc"},
		"unix:/run/clef.ipc": {"unix", "/run/clef.ipc"},
	} {
		var b Backend
		if err := b.UnmarshalText([]byte(text)); err != nil || b.Expand("/run/user/1000", "/home/user") != want {
			t.Errorf("%s: %+v, %v", text, b, err)
		}
	}
}

func randomClefRule(r *rand.Rand) string {
	var b strings.Builder
	fmt.Fprintf(&b, "[[clef.rule]]\nqube = %q\ndecision = %q\n", pick(r, "work", "w*", "*", "home"), pick(r, "allow", "ask", "deny"))
	list := func(chance int, key string, from ...string) {
		if r.IntN(chance) == 0 {
			fmt.Fprintf(&b, "%s = [%q, %q]\n", key, pick(r, from...), pick(r, from...))
		}
	}
	list(2, "methods", "account_list", "account_sign*", "account_signTransaction", "account_signTypedData", "account_new", "*", "account_signData")
	list(4, "origins", "none", "https://a", "https://b")
	list(3, "accounts", accountA, accountB)
	list(4, "to", "create", accountA, accountB)
	list(5, "calls", "none", "transfer", "0xa9059cbb")
	list(5, "content_types", "text/plain", "data/typed")
	if r.IntN(4) == 0 {
		fmt.Fprintf(&b, "chains = [%s]\n", pick(r, "1", "5", "1, 5"))
	}
	if r.IntN(4) == 0 {
		fmt.Fprintf(&b, "max_value = %q\n", pick(r, "0 wei", "5 wei", "10 wei"))
	}
	if r.IntN(6) == 0 {
		fmt.Fprintf(&b, "max_fee = %q\n", pick(r, "0 wei", "5 wei"))
	}
	if _, err := ParseClef("rules.toml", []byte(b.String())); err != nil {
		return randomClefRule(r) // a contradiction in itself
	}
	return b.String()
}

func randomClefRequest(r *rand.Rand) ClefRequest {
	q := ClefRequest{
		Qube: pick(r, "work", "home", "other"), Origin: pick(r, "", "https://a", "https://c"),
		Method: pick(r, clefapi.List, clefapi.SignTransaction, clefapi.SignTypedData, clefapi.SignData, clefapi.New, clefapi.Version, clefapi.SignSafe, "eth_x"),
	}
	has := clefapi.PropertiesOf(q.Method)
	if has.Account {
		q.Account = addr(pick(r, accountA, accountB, "0x2222222222222222222222222222222222222222"))
	}
	if has.Chain {
		q.Chain = int64(r.IntN(6))
	}
	if q.Creates = has.Call && r.IntN(4) == 0; has.To && !q.Creates {
		q.To = addr(pick(r, accountA, accountB))
	}
	if has.Value {
		q.Value = wei(int64(r.IntN(12)))
	}
	if has.Fee {
		q.Fee = wei(int64(r.IntN(8)))
	}
	if has.Call {
		q.Call = []string{pick(r, "none", "0xa9059cbb")}
		if r.IntN(2) == 0 && q.Call[0] != "none" {
			q.Call = append(q.Call, "transfer")
		}
	}
	if has.ContentType {
		q.ContentType = pick(r, clefapi.ContentTypes()...)
	}
	return q
}

func clefTogether(t *testing.T, texts ...string) Clef {
	t.Helper()
	var c Clef
	for i, text := range texts {
		rule := parseClef(t, text).Clef.Rules[0]
		rule.source.line = i + 1
		c.Rules = append(c.Rules, rule)
	}
	return c
}

func TestClefRulesKeepTheirPromises(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(21, 22))
	covered, decided, shown := 0, 0, 0
	for range 2500 {
		var texts []string
		for range 1 + r.IntN(4) {
			texts = append(texts, randomClefRule(r))
		}
		c := clefTogether(t, texts...)
		more := clefTogether(t, append(slices.Clone(texts), randomClefRule(r))...)
		deny := strings.NewReplacer(`"allow"`, `"deny"`, `"ask"`, `"deny"`).Replace(randomClefRule(r))
		var less *Clef
		if _, err := ParseClef("rules.toml", []byte(deny)); err == nil {
			with := clefTogether(t, append([]string{deny}, texts...)...)
			less = &with
		}
		hidden := len(c.Rules) > 1 && c.Rules[0].covers(&c.Rules[1])
		if hidden {
			covered++
		}
		for range 25 {
			q := randomClefRequest(r)
			v := c.Judge(q)
			if strings.HasPrefix(v.Rule, "rules.toml:") {
				decided++
				if after := more.Judge(q); after != v {
					t.Fatalf("a rule behind the deciding one changes %+v: %+v, %+v\n%s", q, v, after, texts)
				}
			}
			if hidden && v.Rule == "rules.toml:2" {
				t.Fatalf("%+v goes by the second of %s", q, texts)
			}
			if less != nil && less.Judge(q).Decision > v.Decision {
				t.Fatalf("a denial in front of the rules allows %+v\n%s%s", q, deny, texts)
			}
			if v.Decision != Deny && !c.Serves(q.Qube, q.Method) || v.Decision == Ask && !c.Asks(q.Qube, q.Method) {
				t.Fatalf("%+v is not served\n%s", q, texts)
			}
			if list, _ := c.JudgeList(q.Qube, q.Origin); q.Method == clefapi.List && v.Decision != Deny {
				if shown++; list.Decision == Deny || v.Decision == Ask && list.Decision != Ask {
					t.Fatalf("%+v: %+v, but the list is judged %+v\n%s", q, v, list, texts)
				}
			}
		}
	}
	if covered < 50 || decided < 1000 || shown < 500 {
		t.Errorf("%d covered, %d decided, %d shown", covered, decided, shown)
	}
}

func FuzzParseClef(f *testing.F) {
	f.Add([]byte("[clef]\nbackend = \"unix:~/x\"\n[[clef.rule]]\nqube = \"work\"\nmax_value = \"0.5 ether\"\ndecision = \"ask\"\n"))
	f.Add([]byte("[[clef.peer]]\naddress = \"10.0.0.1\"\nname = \"x\"\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := ParseClef("rules.toml", text)
		if (err == nil) == (file == nil) {
			t.Fatal("neither rules nor a mistake")
		}
		if err != nil {
			return
		}
		for _, m := range clefapi.Methods() {
			if v := file.Clef.Judge(ClefRequest{Qube: "work", Method: m}); v.Decision != Deny && !file.Clef.Serves("work", m) {
				t.Fatalf("%s: %+v", m, v)
			}
		}
	})
}
