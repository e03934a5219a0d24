package clefapi_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/splitvault/splitvault/pkg/clefapi"
	"github.com/splitvault/splitvault/pkg/eth"
	"github.com/splitvault/splitvault/pkg/jsonrpc"
)

const (
	from = `"0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F"`
	to   = `"0x1111111111111111111111111111111111111111"`
	wide = "0000000000000000000000001111111111111111111111111111111111111111"
	ff   = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
)

func parse(t *testing.T, method, params string) (*clefapi.Use, error) {
	t.Helper()
	c := jsonrpc.ParseOne([]byte(`{"jsonrpc":"2.0","id":1,"method":"` + method + `","params":` + params + `}`))
	if c.Err != nil {
		t.Fatalf("%s: %v", params, c.Err)
	}
	return clefapi.Parse(c.Request)
}

// tx is the params of a transaction with more members.
func tx(more string) string {
	return `[{"from":` + from + `,"to":` + to + `,"gas":"0x5208","value":"0x1","nonce":"0x0"` + more + `}]`
}

// typed is the params of typed data with this domain, of this type.
func typed(domain, domainType string) string {
	return `[` + from + `,{"types":{"EIP712Domain":[` + domainType + `],"M":[{"name":"t","type":"string"}]},"primaryType":"M","domain":{` + domain + `},"message":{"t":"hi"}}]`
}

func field(name, kind string) string { return fmt.Sprintf(`{"name":%q,"type":%q}`, name, kind) }

func TestTransactionsAreUnderstood(t *testing.T) {
	t.Parallel()
	u, err := parse(t, clefapi.SignTransaction, tx(`,"maxFeePerGas":"0x3b9aca00","maxPriorityFeePerGas":"0x3b9aca00","chainId":"0x539","input":"0x"`))
	if err != nil {
		t.Fatal(err)
	}
	if string(u.Account) != strings.ToLower(strings.Trim(from, `"`)) || string(u.To) != strings.Trim(to, `"`) || u.Chain != 1337 || u.Value.String() != "1 wei" ||
		u.Transaction.Type != 2 || u.Transaction.Gas != 21000 || u.Transaction.MaxFee.String() != "0.000021 ether" || u.Call.Selector() != clefapi.None || u.Creates() {
		t.Errorf("%+v %+v", u, u.Transaction)
	}
	for params, kind := range map[string]int{
		tx(`,"gasPrice":"0x1"`): 0, tx(`,"gasPrice":"0x1","maxFeePerGas":null,"accessList":null,"type":"0x0"`): 0,
		tx(`,"gasPrice":"0x1","accessList":[],"chainId":"0x1"`):                                                      1,
		tx(`,"gasPrice":"0x1","chainId":"0x1","accessList":[{"address":` + to + `,"storageKeys":["0x` + ff + `"]}]`): 1,
	} {
		if u, err := parse(t, clefapi.SignTransaction, params); err != nil || u.Transaction.Type != kind {
			t.Errorf("%s: %+v, %v", params, u, err)
		}
	}
	create, err := parse(t, clefapi.SignTransaction, `[{"from":`+from+`,"to":null,"gas":"0x1","value":"0x0","nonce":"0x0","data":"0xa9059cbb"}]`)
	if err != nil || !create.Creates() || create.To != "" || create.Call.Function != "" {
		t.Errorf("contract creation: %+v, %v", create, err)
	}
}

func TestCallsThatGiveTokensAwayAreSeen(t *testing.T) {
	t.Parallel()
	for code, row := range map[string]struct {
		function  string
		arguments string
		unlimited bool
	}{
		"0xa9059cbb" + wide + strings.Repeat("0", 62) + "64": {"transfer", "[{to 0x1111111111111111111111111111111111111111} {amount 100}]", false},
		"0x095ea7b3" + wide + ff:                             {"approve", "[{spender 0x1111111111111111111111111111111111111111} {amount or token 115792089237316195423570985008687907853269984665640564039457584007913129639935}]", true},
		"0x39509351" + wide + ff:                             {"increaseAllowance", "", true},
		"0x095ea7b3" + wide + strings.Repeat("0", 64):        {"approve", "", false},
		"0xa22cb465" + wide + strings.Repeat("0", 63) + "1":  {"setApprovalForAll", "[{operator 0x1111111111111111111111111111111111111111} {all tokens yes}]", true},
		"0xa22cb465" + wide + strings.Repeat("0", 64):        {"setApprovalForAll", "", false},
		"0xd0e30db0":                    {"deposit", "[]", false},
		"0x23b872dd" + wide + wide + ff: {"transferFrom", "", false},
		"0xa22cb465" + wide + strings.Repeat("0", 63) + "2": {"", "", false}, // no boolean
		"0xa9059cbb" + "01" + wide[2:] + ff:                 {"", "", false}, // no address
		"0xa9059cbb" + wide + ff + "00":                     {"", "", false},
		"0xa9059cbb" + wide:                                 {"", "", false},
		"0xd0e30db000":                                      {"", "", false},
		"0xdeadbeef" + wide:                                 {"", "", false},
		"0xa9059c":                                          {"", "", false},
	} {
		u, err := parse(t, clefapi.SignTransaction, tx(`,"gasPrice":"0x1","data":"`+code+`"`))
		if err != nil {
			t.Errorf("%s: %v", code, err)
			continue
		}
		if u.Call.Function != row.function || u.Call.Unlimited != row.unlimited || row.arguments != "" && fmt.Sprint(u.Call.Arguments) != row.arguments {
			t.Errorf("%s: %+v", code, u.Call)
		}
	}
	for _, name := range clefapi.FunctionNames() {
		if strings.ContainsAny(name, " ,(") {
			t.Errorf("%q", name)
		}
	}
}

// The selectors are the hashes of the signatures that Clef is told.
func TestSelectorsAreThoseOfTheirSignatures(t *testing.T) {
	t.Parallel()
	for signature, code := range map[string]string{
		"transfer(address,uint256)": "a9059cbb", "transferFrom(address,address,uint256)": "23b872dd", "approve(address,uint256)": "095ea7b3",
		"increaseAllowance(address,uint256)": "39509351", "decreaseAllowance(address,uint256)": "a457c2d7", "setApprovalForAll(address,bool)": "a22cb465",
		"safeTransferFrom(address,address,uint256)": "42842e0e", "deposit()": "d0e30db0", "withdraw(uint256)": "2e1a7d4d",
	} {
		sum := eth.Keccak256([]byte(signature))
		if hex.EncodeToString(sum[:4]) != code {
			t.Errorf("%s: %x", signature, sum[:4])
		}
		params := tx(`,"gasPrice":"0x1","data":"0x` + code + `"`)
		with := strings.TrimSuffix(params, "]") + `,"` + signature + `"]`
		if _, err := parse(t, clefapi.SignTransaction, with); err != nil {
			t.Errorf("%s: %v", signature, err)
		}
		other := strings.TrimSuffix(params, "]") + `,"sendAllMyTokens(address,uint256)"]`
		if _, err := parse(t, clefapi.SignTransaction, other); !errors.Is(err, clefapi.ErrParams) {
			t.Errorf("another name for %s: %v", signature, err)
		}
	}
}

func TestTypedDataIsUnderstood(t *testing.T) {
	t.Parallel()
	all := field("name", "string") + "," + field("version", "string") + "," + field("chainId", "uint256") + "," + field("verifyingContract", "address") + "," + field("salt", "bytes32")
	params := typed(`"name":"x","version":"1","chainId":"1337","verifyingContract":`+to+`,"salt":"0x`+ff+`"`, all)
	u, err := parse(t, clefapi.SignTypedData, params)
	if err != nil {
		t.Fatal(err)
	}
	if u.Chain != 1337 || string(u.To) != strings.Trim(to, `"`) || u.Typed.PrimaryType != "M" || u.Typed.Name != "x" || fmt.Sprint(u.Typed.Fields) != "[{t string hi <nil>}]" || !u.Value.IsNone() {
		t.Errorf("%+v %+v", u, u.Typed)
	}
	for _, chain := range []string{`1337`, `"0x539"`} {
		if u, err := parse(t, clefapi.SignTypedData, typed(`"chainId":`+chain, field("chainId", "uint256"))); err != nil || u.Chain != 1337 || u.To != "" {
			t.Errorf("%s: %+v, %v", chain, u, err)
		}
	}
	inner := strings.TrimSuffix(strings.SplitN(params, ",", 2)[1], "]")
	same, err := parse(t, clefapi.SignData, `["data/typed",`+from+`,"0x`+hex.EncodeToString([]byte(inner))+`"]`)
	if err != nil || same.Chain != 1337 || same.To != u.To {
		t.Errorf("in hexadecimal: %+v, %v", same, err)
	}
}

func TestWhatIsNotUnderstoodIsRefused(t *testing.T) {
	t.Parallel()
	chain := field("chainId", "uint256")
	hexed := func(s string) string { return `["data/typed",` + from + `,"0x` + hex.EncodeToString([]byte(s)) + `"]` }
	for name, row := range map[string][2]string{
		"no params":                   {clefapi.SignTransaction, `[]`},
		"params of a list":            {clefapi.List, `[1]`},
		"three params":                {clefapi.SignTransaction, `[{},null,null]`},
		"capital key":                 {clefapi.SignTransaction, `[{"from":` + from + `,"To":` + to + `}]`},
		"unknown key":                 {clefapi.SignTransaction, tx(`,"gasPrice":"0x1","foo":1`)},
		"blob":                        {clefapi.SignTransaction, tx(`,"gasPrice":"0x1","blobVersionedHashes":[]`)},
		"authorization":               {clefapi.SignTransaction, tx(`,"gasPrice":"0x1","authorizationList":[]`)},
		"no sender":                   {clefapi.SignTransaction, `[{"to":` + to + `}]`},
		"sender mistyped":             {clefapi.SignTransaction, `[{"from":"0x9D8A62f656a8d1615C1294fd71e9CFb3E4855A4F","to":` + to + `}]`},
		"short recipient":             {clefapi.SignTransaction, `[{"from":` + from + `,"to":"0x11"}]`},
		"empty recipient":             {clefapi.SignTransaction, `[{"from":` + from + `,"to":"","data":"0x00"}]`},
		"nothing at all":              {clefapi.SignTransaction, `[{"from":` + from + `}]`},
		"value a number":              {clefapi.SignTransaction, `[{"from":` + from + `,"to":` + to + `,"value":1}]`},
		"value decimal":               {clefapi.SignTransaction, `[{"from":` + from + `,"to":` + to + `,"value":"1"}]`},
		"value too large":             {clefapi.SignTransaction, `[{"from":` + from + `,"to":` + to + `,"value":"0x1` + ff + `"}]`},
		"nonce of 65 bits":            {clefapi.SignTransaction, `[{"from":` + from + `,"to":` + to + `,"nonce":"0x10000000000000000"}]`},
		"chain 0":                     {clefapi.SignTransaction, tx(`,"gasPrice":"0x1","chainId":"0x0"`)},
		"chain of 64 bits":            {clefapi.SignTransaction, tx(`,"gasPrice":"0x1","chainId":"0x8000000000000000"`)},
		"data and input differ":       {clefapi.SignTransaction, tx(`,"gasPrice":"0x1","data":"0x","input":"0x00"`)},
		"both prices":                 {clefapi.SignTransaction, tx(`,"gasPrice":"0x1","maxFeePerGas":"0x1","maxPriorityFeePerGas":"0x1","chainId":"0x1"`)},
		"half a price":                {clefapi.SignTransaction, tx(`,"maxFeePerGas":"0x1","chainId":"0x1"`)},
		"type 2 without chain":        {clefapi.SignTransaction, tx(`,"maxFeePerGas":"0x1","maxPriorityFeePerGas":"0x1"`)},
		"type says otherwise":         {clefapi.SignTransaction, tx(`,"gasPrice":"0x1","type":"0x2"`)},
		"access list an object":       {clefapi.SignTransaction, tx(`,"gasPrice":"0x1","accessList":{},"chainId":"0x1"`)},
		"short storage key":           {clefapi.SignTransaction, tx(`,"gasPrice":"0x1","chainId":"0x1","accessList":[{"address":` + to + `,"storageKeys":["0x00"]}]`)},
		"selector a number":           {clefapi.SignTransaction, strings.TrimSuffix(tx(`,"gasPrice":"0x1"`), "]") + `,1]`},
		"text a number":               {clefapi.SignData, `["text/plain",` + from + `,1]`},
		"text not hexadecimal":        {clefapi.SignData, `["text/plain",` + from + `,"hello"]`},
		"other content type":          {clefapi.SignData, `["text/html",` + from + `,"0x00"]`},
		"content type in case":        {clefapi.SignData, `["Text/Plain",` + from + `,"0x00"]`},
		"content type and more":       {clefapi.SignData, `["text/plain; charset=utf-8",` + from + `,"0x00"]`},
		"clique spelled so":           {clefapi.SignData, `["APPLICATION/x-clique-header",` + from + `,"0x00"]`},
		"validator without":           {clefapi.SignData, `["data/validator",` + from + `,{"message":"0x00"}]`},
		"typed, key twice":            {clefapi.SignData, hexed(`{"types":{},"types":{}}`)},
		"typed, rounded":              {clefapi.SignData, hexed(`{"message":{"x":1e400}}`)},
		"typed, two values":           {clefapi.SignData, hexed(`{}{}`)},
		"typed, a text":               {clefapi.SignTypedData, `[` + from + `,"{}"]`},
		"typed, no domain type":       {clefapi.SignTypedData, `[` + from + `,{"types":{"M":[` + chain + `]},"primaryType":"M","domain":{},"message":{"chainId":1}}]`},
		"chain that is not signed":    {clefapi.SignTypedData, typed(`"chainId":"1","name":"x"`, field("name", "string"))},
		"chain that is missing":       {clefapi.SignTypedData, typed(`"name":"x"`, field("name", "string")+","+chain)},
		"chain of another type":       {clefapi.SignTypedData, typed(`"chainId":"1"`, field("chainId", "string"))},
		"chain twice":                 {clefapi.SignTypedData, typed(`"chainId":"1","name":"x"`, chain+","+chain)},
		"chain in capitals":           {clefapi.SignTypedData, typed(`"ChainId":"1"`, chain)},
		"chain with a plus":           {clefapi.SignTypedData, typed(`"chainId":"+1"`, chain)},
		"chain null":                  {clefapi.SignTypedData, typed(`"chainId":null`, chain)},
		"domain with another field":   {clefapi.SignTypedData, typed(`"foo":"1"`, field("foo", "string"))},
		"contract that is no address": {clefapi.SignTypedData, typed(`"verifyingContract":"x"`, field("verifyingContract", "address"))},
		"the domain as message":       {clefapi.SignTypedData, strings.Replace(typed(`"chainId":"1"`, chain), `"primaryType":"M"`, `"primaryType":"EIP712Domain"`, 1)},
		"message of no type":          {clefapi.SignTypedData, strings.Replace(typed(`"chainId":"1"`, chain), `"primaryType":"M"`, `"primaryType":"N"`, 1)},
		"message with more":           {clefapi.SignTypedData, strings.Replace(typed(`"chainId":"1"`, chain), `{"t":"hi"}`, `{"t":"hi","u":"x"}`, 1)},
		"message in capitals":         {clefapi.SignTypedData, strings.Replace(typed(`"chainId":"1"`, chain), `{"t":"hi"}`, `{"T":"hi"}`, 1)},
		"type with a space":           {clefapi.SignTypedData, strings.Replace(typed(`"chainId":"1"`, chain), `"M"`, `"M "`, 2)},
		"ecRecover of one":            {clefapi.EcRecover, `["0x00"]`},
		"safe of an unknown kind":     {clefapi.SignSafe, `[` + from + `,{"safe":` + to + `,"to":` + to + `,"value":"1","operation":2}]`},
		"safe with hexadecimal":       {clefapi.SignSafe, `[` + from + `,{"safe":` + to + `,"to":` + to + `,"value":"0x1"}]`},
		"safe with octal":             {clefapi.SignSafe, `[` + from + `,{"safe":` + to + `,"to":` + to + `,"nonce":"010"}]`},
		"safe without safe":           {clefapi.SignSafe, `[` + from + `,{"to":` + to + `,"value":"1"}]`},
		"safe with a signature":       {clefapi.SignSafe, `[` + from + `,{"safe":` + to + `,"to":` + to + `,"signature":"0x"}]`},
	} {
		if u, err := parse(t, row[0], row[1]); !errors.Is(err, clefapi.ErrParams) || u != nil {
			t.Errorf("%s: %+v, %v", name, u, err)
		}
	}
	for _, method := range []string{"eth_sign", "account_signtransaction", "account_Version", "personal_sign", "clef_new", "rpc_foo"} {
		if u, err := parse(t, method, `[]`); !errors.Is(err, clefapi.ErrUnknown) || u != nil || clefapi.Known(method) {
			t.Errorf("%s: %+v, %v", method, u, err)
		}
	}
}

func TestSafeTransactionsAreUnderstood(t *testing.T) {
	t.Parallel()
	u, err := parse(t, clefapi.SignSafe, `[`+from+`,{"safe":`+to+`,"to":`+to+`,"value":"5","operation":1,"gasPrice":"1","nonce":7,"chainId":"0x1","data":"0xa9059cbb`+wide+ff+`"}]`)
	if err != nil || u.Value.String() != "5 wei" || !u.Safe.Delegate || !u.Safe.Refund || u.Safe.Nonce != 7 || u.Chain != 1 || u.Call.Function != "transfer" {
		t.Errorf("%+v, %v", u, err)
	}
}

// Whatever comes, there is a use or a refusal, and never half of one.
func FuzzParse(f *testing.F) {
	f.Add(clefapi.SignTransaction, tx(`,"gasPrice":"0x1","data":"0xa9059cbb`+wide+ff+`"`))
	f.Add(clefapi.SignTypedData, typed(`"chainId":"1"`, field("chainId", "uint256")))
	f.Add(clefapi.SignData, `["data/validator",`+from+`,{"address":`+to+`,"message":"0x00"}]`)
	f.Add(clefapi.SignSafe, `[`+from+`,{"safe":`+to+`,"to":`+to+`,"value":"5"}]`)
	f.Add(clefapi.List, `[]`)
	f.Fuzz(func(t *testing.T, method, params string) {
		c := jsonrpc.ParseOne([]byte(`{"jsonrpc":"2.0","id":1,"method":"` + method + `","params":` + params + `}`))
		if c.Err != nil {
			return
		}
		u, err := clefapi.Parse(c.Request)
		if (err == nil) != (u != nil) {
			t.Fatalf("%+v, %v", u, err)
		}
		if err != nil {
			return
		}
		has := clefapi.PropertiesOf(u.Method)
		if has.Signs && u.Account == "" || !has.Value && !u.Value.IsNone() || has.Value && u.Value.IsNone() || u.Chain < 0 || len(u.Digest) != 64 {
			t.Fatalf("%+v", u)
		}
	})
}
