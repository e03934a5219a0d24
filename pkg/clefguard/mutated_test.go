package clefguard_test

import (
	"encoding/json"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/splitvault/splitvault/pkg/eth"
	"github.com/splitvault/splitvault/pkg/rules"
)

func rulesRequest() rules.ClefRequest {
	return rules.ClefRequest{
		Qube: "work", Method: "account_signTransaction", Account: eth.Address(strings.ToLower(accountA)), Chain: 1337, To: to,
		Value: eth.Wei(big.NewInt(1)), Call: []string{"none"},
	}
}

// lenient is a transaction as Clef's decoder reads it: keys in any case, the last
// of several wins, unknown ones ignored (go-ethereum signer/core/apitypes).
type lenient struct {
	From    string  `json:"from"`
	To      *string `json:"to"`
	Value   string  `json:"value"`
	ChainID *string `json:"chainId"`
	Data    *string `json:"data"`
	Input   *string `json:"input"`
}

// mutate changes a text the way that differences between parsers are looked for.
func mutate(r *rand.Rand, text string) string {
	b := []byte(text)
	pieces := []string{
		`"to":"` + accountB + `"`, `"To":"` + accountB + `"`, `"value":"0xffff"`, `"VALUE":"0xffff"`, `"data":"0xa9059cbb"`, `"input":"0x00"`, `"chainId":"0x1"`, `"ſrom":""`,
		`"method":"account_new"`, `"Method":"account_new"`, `"METHOD":"account_list"`, `,`, `:`, `{`, `}`, `[`, `]`, `"`, `\`, "\x00", "\u202e", `null`, `1e1`, `\u0000`, ` `, "\ufeff",
		`"from":"` + accountB + `"`, `"id":[]`, `"params":[]`, `"chainid":"0x1"`, `0x`, `"to":null`, `//`, `"tO":null`, `"fRom":null`, `{"to":1}`,
	}
	for range 1 + r.IntN(3) {
		at := r.IntN(len(b) + 1)
		switch r.IntN(6) {
		case 0:
			b = append(b[:at:at], b[min(len(b), at+1+r.IntN(4)):]...)
		case 1:
			if at < len(b) {
				b[at] ^= 1 << r.IntN(8)
			}
		case 2: // a member more
			if i := strings.IndexByte(string(b[at:]), ','); i >= 0 {
				piece := pieces[r.IntN(len(pieces))]
				b = append(b[:at+i:at+i], append([]byte(","+piece), b[at+i:]...)...)
			}
		case 3: // the case of a letter
			if at < len(b) && (b[at] >= 'a' && b[at] <= 'z' || b[at] >= 'A' && b[at] <= 'Z') {
				b[at] ^= 0x20
			}
		case 4: // an escape for a letter
			if at < len(b) && b[at] >= 'a' && b[at] <= 'z' {
				escape := `\u00` + string("0123456789abcdef"[b[at]>>4]) + string("0123456789abcdef"[b[at]&15])
				b = append(b[:at:at], append([]byte(escape), b[at+1:]...)...)
			}
		default:
			piece := pieces[r.IntN(len(pieces))]
			b = append(b[:at:at], append([]byte(piece), b[at:]...)...)
		}
		if len(b) == 0 {
			b = []byte(`{`)
		}
	}
	return string(b)
}

// Of 10 000 requests that were made to look like something else, none reaches Clef
// that the rules do not allow, as Clef itself reads it.
func TestMutatedRequestsDoNotGetAround(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(7, 11))
	bases := []string{
		req("account_signTransaction", transaction(`,"value":"0x1"`)), req("account_signTransaction", transaction(`,"value":"0xb"`)),
		req("account_signTransaction", strings.Replace(transaction(""), to, accountB, 1)), req("account_list", `[]`), req("account_version", `[]`),
		`split-clef/1 {"origin":"https://a"}` + "\n" + req("account_signTransaction", transaction("")), req("account_new", `[]`),
		req("account_signData", `["text/plain","`+accountA+`","0x00"]`),
	}
	w := vault(t, allowSome)
	for range 10_000 {
		body := mutate(r, bases[r.IntN(len(bases))])
		before := len(w.clef.got)
		w.ask(t, "", body)
		for _, got := range w.clef.got[before:] {
			check(t, body, got)
		}
		w.hook.Reset()
	}
	if n := len(w.clef.got); n < 100 || n > 9000 {
		t.Errorf("%d of the requests reached Clef: the test is not worth much", n)
	}
}

// check reads what Clef got as Clef does.
func check(t *testing.T, body, got string) {
	t.Helper()
	var message struct {
		Method string            `json:"method"`
		Params []json.RawMessage `json:"params"`
	}
	if err := json.Unmarshal([]byte(got), &message); err != nil {
		t.Fatalf("%q: %v", got, err)
	}
	switch message.Method {
	case "account_list", "account_version":
		return
	case "account_signTransaction":
	default:
		t.Fatalf("%q became %q", body, got)
	}
	var tx lenient
	if err := json.Unmarshal(message.Params[0], &tx); err != nil {
		t.Fatalf("%q: %v", got, err)
	}
	value, ok := new(big.Int).SetString(strings.TrimPrefix(orZero(tx.Value), "0x"), 16)
	empty := func(data *string) bool { return data == nil || *data == "0x" }
	if !strings.EqualFold(tx.From, accountA) || tx.To == nil || *tx.To != to || !ok || value.Cmp(big.NewInt(10)) > 0 ||
		tx.ChainID == nil || *tx.ChainID != "0x539" || !empty(tx.Data) || !empty(tx.Input) {
		t.Fatalf("%q became %q", body, got)
	}
}

func orZero(quantity string) string {
	if quantity == "" {
		return "0x0"
	}
	return quantity
}
