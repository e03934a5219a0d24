package clef

import (
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/common/math"
	"github.com/ethereum/go-ethereum/rpc"
	"github.com/ethereum/go-ethereum/signer/core/apitypes"

	"github.com/splitvault/splitvault/pkg/clefapi"
	"github.com/splitvault/splitvault/pkg/eth"
	"github.com/splitvault/splitvault/pkg/jsonrpc"
)

// account is Clef's API, with the types of its parameters (signer/core/api.go), that
// only writes down what it was called with.
type account struct{ got []any }

type signData struct {
	contentType string
	account     common.MixedcaseAddress
	data        any
}

type signTyped struct {
	account common.MixedcaseAddress
	data    apitypes.TypedData
}

func (a *account) Version(context.Context) (string, error) { return a.took("version") }
func (a *account) List(context.Context) (string, error)    { return a.took("list") }
func (a *account) New(context.Context) (string, error)     { return a.took("new") }

func (a *account) SignTransaction(_ context.Context, args apitypes.SendTxArgs, _ *string) (string, error) {
	return a.took(args)
}

func (a *account) SignData(_ context.Context, contentType string, addr common.MixedcaseAddress, data any) (string, error) {
	return a.took(signData{contentType, addr, data})
}

func (a *account) SignTypedData(_ context.Context, addr common.MixedcaseAddress, data apitypes.TypedData) (string, error) {
	return a.took(signTyped{addr, data})
}

func (a *account) took(what any) (string, error) {
	a.got = append(a.got, what)
	return "", nil
}

// reader is Clef's server with that API behind it.
type reader struct {
	api    *account
	server *rpc.Server
}

func newReader(t testing.TB) *reader {
	t.Helper()
	r := &reader{&account{}, rpc.NewServer()}
	if err := r.server.RegisterName("account", r.api); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.server.Stop)
	return r
}

// read returns what Clef makes of a body: nothing if it is an error there.
func (r *reader) read(body []byte) []any {
	r.api.got = nil
	request := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(string(body)))
	request.Header.Set("Content-Type", "application/json")
	r.server.ServeHTTP(httptest.NewRecorder(), request)
	return r.api.got
}

const (
	from  = "0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F"
	to    = "0x1111111111111111111111111111111111111111"
	other = "0x2222222222222222222222222222222222222222"
)

func req(method, params string) string {
	return `{"jsonrpc":"2.0","id":7,"method":"` + method + `","params":` + params + `}`
}

func bases() []string {
	legacy := `{"from":"` + from + `","to":"` + to + `","gas":"0x5208","gasPrice":"0x1","value":"0x1","nonce":"0x0","chainId":"0x539","data":"0xa9059cbb"}`
	typed := `{"types":{"EIP712Domain":[{"name":"name","type":"string"},{"name":"chainId","type":"uint256"},{"name":"verifyingContract","type":"address"}],` +
		`"M":[{"name":"t","type":"string"},{"name":"n","type":"uint256"}]},"primaryType":"M","domain":{"name":"x","chainId":"1337","verifyingContract":"` + to + `"},"message":{"t":"hi","n":5}}`
	nested := `{"types":{"EIP712Domain":[{"name":"name","type":"string"}],"Batch":[{"name":"details","type":"Item[]"},{"name":"tree","type":"Item[2][1]"},{"name":"none","type":"uint8[]"}],` +
		`"Item":[{"name":"token","type":"address"},{"name":"amount","type":"int160"},{"name":"ids","type":"uint256[]"}]},"primaryType":"Batch","domain":{"name":"x"},"message":{"none":[],` +
		`"details":[{"token":"` + strings.ToLower(to) + `","amount":"0xff","ids":["7",8]},{"token":"` + to + `","amount":"-5","ids":[]}],` +
		`"tree":[[{"token":"` + to + `","amount":1,"ids":["0x0"]},{"token":"` + to + `","amount":2,"ids":[]}]]}}`
	return []string{
		req("account_list", `[]`), req("account_version", `null`), req("account_new", `[]`),
		req("account_signTransaction", `[`+legacy+`]`),
		req("account_signTransaction", `[`+strings.Replace(legacy, `"gasPrice":"0x1"`, `"maxFeePerGas":"0x2","maxPriorityFeePerGas":"0x1","accessList":[{"address":"`+to+`","storageKeys":[]}]`, 1)+`,null]`),
		req("account_signTransaction", `[`+strings.Replace(legacy, `"to":"`+to+`"`, `"to":null`, 1)+`]`),
		req("account_signTypedData", `["`+from+`",`+typed+`]`),
		req("account_signData", `["data/typed","`+from+`","0x`+fmt.Sprintf("%x", typed)+`"]`),
		req("account_signData", `["text/plain","`+from+`","0x00ff"]`),
		req("account_signTypedData", `["`+from+`",`+nested+`]`),
	}
}

// compare fails if a request is judged as something else than Clef reads, in the
// client's own bytes or in what it is sent.
func compare(t testing.TB, r *reader, body []byte) (accepted bool) {
	t.Helper()
	call := jsonrpc.ParseOne(body)
	if call.Err != nil {
		return false
	}
	use, err := clefapi.Parse(call.Request)
	if err != nil {
		return false
	}
	for _, b := range [][]byte{body, call.Request.Append(nil, jsonrpc.TextID("ours"))} {
		got := r.read(b)
		if len(got) != 1 {
			if use.Method == clefapi.EcRecover || use.Method == clefapi.SignSafe || use.Method == clefapi.Modules {
				continue // not in this API
			}
			// What Clef refuses is judged for nothing, and harms nobody.
			continue
		}
		if wrong := differs(use, got[0]); wrong != "" {
			t.Fatalf("%s: Clef reads %+v, judged was %+v\n%s", wrong, got[0], use, b)
		}
	}
	return true
}

// differs names what Clef reads differently.
func differs(use *clefapi.Use, got any) string {
	switch clef := got.(type) {
	case string:
		if "account_"+clef != use.Method {
			return "method"
		}
	case apitypes.SendTxArgs:
		return differsTx(use, clef)
	case signData:
		switch {
		case use.Method != clefapi.SignData || clef.contentType != use.ContentType:
			return "content type"
		case !same(use.Account, clef.account.Address()):
			return "account"
		case use.Typed != nil:
			inner, err := hexutil.Decode(clef.data.(string))
			var typed apitypes.TypedData
			if err != nil || json.Unmarshal(inner, &typed) != nil {
				return "" // Clef refuses it
			}
			return differsTyped(use, typed)
		case use.ContentType == "text/plain" && hexutil.Encode(use.Text) != strings.ToLower(clef.data.(string)):
			return "text"
		}
	case signTyped:
		if use.Method != clefapi.SignTypedData || !same(use.Account, clef.account.Address()) {
			return "method or account"
		}
		return differsTyped(use, clef.data)
	}
	return ""
}

func differsTx(use *clefapi.Use, clef apitypes.SendTxArgs) string {
	code := []byte{}
	if clef.Data != nil {
		code = *clef.Data
	}
	if clef.Input != nil {
		code = *clef.Input
	}
	tx, err := clef.ToTransaction()
	switch {
	case err != nil || use.Method != clefapi.SignTransaction:
		return "method"
	case !same(use.Account, clef.From.Address()):
		return "from"
	case (clef.To == nil) != use.Creates() || clef.To != nil && !same(use.To, clef.To.Address()):
		return "to"
	case use.Value.Cmp(eth.Wei((*big.Int)(&clef.Value))) != 0:
		return "value"
	case (clef.ChainID == nil) != (use.Chain == 0) || clef.ChainID != nil && (*big.Int)(clef.ChainID).Cmp(big.NewInt(use.Chain)) != 0:
		return "chain"
	case string(code) != string(use.Call.Data) || string(tx.Data()) != string(use.Call.Data):
		return "data"
	case uint64(clef.Nonce) != use.Transaction.Nonce || uint64(clef.Gas) != use.Transaction.Gas || int(tx.Type()) != use.Transaction.Type:
		return "nonce, gas or type"
	}
	price := new(big.Int)
	if clef.GasPrice != nil || clef.MaxFeePerGas != nil {
		price = tx.GasFeeCap()
	}
	if use.Transaction.MaxFee.Cmp(eth.Wei(price).Times(tx.Gas())) != 0 {
		return "fee"
	}
	return ""
}

func differsTyped(use *clefapi.Use, clef apitypes.TypedData) string {
	if _, _, err := apitypes.TypedDataAndHash(clef); err != nil {
		return "" // Clef refuses it
	}
	chain := new(big.Int)
	if clef.Domain.ChainId != nil {
		chain = (*big.Int)(clef.Domain.ChainId)
	}
	switch {
	case chain.Cmp(big.NewInt(use.Chain)) != 0:
		return "chain"
	case (clef.Domain.VerifyingContract == "") != (use.To == "") || use.To != "" && !same(use.To, common.HexToAddress(clef.Domain.VerifyingContract)):
		return "contract"
	case clef.PrimaryType != use.Typed.PrimaryType || clef.Domain.Name != use.Typed.Name:
		return "type"
	}
	var leaves []clefapi.Field
	flatten(&leaves, "", map[string]any(clef.Message))
	ours := map[string]string{}
	for _, f := range use.Typed.Fields {
		ours[f.Name] = f.Value
		if f.Number != nil { // Clef's own reading of it
			var n math.HexOrDecimal256
			if err := n.UnmarshalText([]byte(f.Value)); f.Number.Sign() >= 0 && (err != nil || (*big.Int)(&n).Cmp(f.Number) != 0) {
				return "number " + f.Name
			}
		}
	}
	for _, l := range leaves {
		if value, ok := ours[l.Name]; !ok || !alike(l.Value, value) {
			return "field " + l.Name
		}
	}
	if len(leaves) != len(use.Typed.Fields) {
		return "number of fields"
	}
	return ""
}

// flatten finds all values of what Clef has read.
func flatten(to *[]clefapi.Field, name string, v any) {
	add := func(text string) { *to = append(*to, clefapi.Field{Name: name, Value: text}) }
	switch v := v.(type) {
	case map[string]any:
		for key, item := range v {
			flatten(to, strings.TrimPrefix(name+"."+key, "."), item)
		}
	case []any:
		for i, item := range v {
			flatten(to, fmt.Sprintf("%s[%d]", name, i), item)
		}
		if len(v) == 0 {
			add("empty")
		}
	case float64:
		add(fmt.Sprintf("%.0f", v))
	default:
		add(fmt.Sprint(v))
	}
}

// alike: addresses are shown with capitals, numbers in decimal.
func alike(clef, ours string) bool {
	var n math.HexOrDecimal256
	number := n.UnmarshalText([]byte(clef)) == nil && (*big.Int)(&n).String() == ours
	address := common.IsHexAddress(clef) && common.HexToAddress(clef).Hex() == ours
	return clef == ours || number || address
}

func same(a eth.Address, b common.Address) bool { return string(a) == strings.ToLower(b.Hex()) }

// The bodies of bases are judged, so that the comparison is worth something.
func TestWhatClientsSendIsReadAlike(t *testing.T) {
	r := newReader(t)
	for _, body := range bases() {
		if !compare(t, r, []byte(body)) {
			t.Errorf("refused: %s", body)
		}
		if len(r.read([]byte(body))) != 1 {
			t.Errorf("Clef refuses %s", body)
		}
	}
}

// These Clef reads in its own way; none of them is judged.
func TestWhatClefReadsInItsOwnWayIsRefused(t *testing.T) {
	r := newReader(t)
	legacy := bases()[3]
	for _, body := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"account_new","METHOD":"account_list"}`, `{"jſonrpc":"2.0","id":1,"method":"account_list"}`,
		strings.Replace(legacy, `"gas":`, `"To":"`+other+`","gas":`, 1), strings.Replace(legacy, `"value":"0x1"`, `"value":"0x1","VALUE":"0x7"`, 1),
		strings.Replace(legacy, `"to":`, `"tO":`, 1), legacy + `garbage`, legacy + legacy, strings.Replace(legacy, `"id":7,`, ``, 1),
		strings.Replace(legacy, `"data":"0xa9059cbb"`, `"data":"0xa9059cbb","input":"0x"`, 1), strings.Replace(legacy, `"nonce"`, `"nſonce":1,"nonce"`, 1),
	} {
		if compare(t, r, []byte(body)) {
			t.Errorf("judged: %s", body)
		}
	}
}

func TestTwistedRequestsAreReadAlike(t *testing.T) {
	r := newReader(t)
	rng := rand.New(rand.NewPCG(1, 9))
	accepted := 0
	for range 60_000 {
		if compare(t, r, twist(rng, bases()[rng.IntN(len(bases()))])) {
			accepted++
		}
	}
	if accepted < 3000 {
		t.Errorf("only %d of them were judged", accepted)
	}
	t.Logf("%d of 60000 were judged, all as Clef reads them", accepted)
}

func twist(r *rand.Rand, text string) []byte {
	pieces := []string{
		`"to":"` + other + `"`, `"To":"` + other + `"`, `"value":"0xf"`, `"VALUE":"0xf"`, `"input":"0x00"`, `"chainId":"0x1"`, `"chainID":"1"`, `"type":"0x1"`, `"gaſ":"0x9"`,
		`"accessList":[]`, `"blobs":null`, `"salt":null`, `"name":"y"`, `"name":null`, `"primaryType":"EIP712Domain"`, `"id":null`, `null`, `{}`,
	}
	b := []byte(text)
	for range 1 + r.IntN(2) {
		at := r.IntN(len(b))
		switch r.IntN(6) {
		case 0:
			b[at] ^= 1 << r.IntN(8)
		case 1:
			b = append(b[:at:at], b[min(len(b), at+1):]...)
		case 2:
			b = append(b[:at:at], append([]byte{b[at], b[at]}, b[at+1:]...)...)
		case 3:
			if b[at] >= 'a' && b[at] <= 'z' {
				b = append(b[:at:at], append(fmt.Appendf(nil, `\u%04x`, b[at]), b[at+1:]...)...)
			}
		case 4:
			if b[at] >= '0' && b[at] <= '9' {
				b[at] = "0123456789abcdefA"[r.IntN(17)]
			}
		default:
			if i := strings.IndexByte(string(b[at:]), ','); i >= 0 {
				b = append(b[:at+i:at+i], append([]byte(","+pieces[r.IntN(len(pieces))]), b[at+i:]...)...)
			}
		}
	}
	return b
}

func FuzzRequests(f *testing.F) {
	for _, body := range bases() {
		f.Add([]byte(body))
	}
	r := newReader(f)
	f.Fuzz(func(t *testing.T, body []byte) { compare(t, r, body) })
}
