package clefattacks

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
)

// forbidden begins every text whose signature no rule allows: it must not reach Clef,
// whatever is wrong with the request around it.
const forbidden = "forbidden"

// template is a request to be mutated.
type template struct {
	head, body string
	// whole: its head is mutated, too. The body alone is of a page, which is a
	// program's as soon as its Origin is gone.
	whole bool
}

func (t template) text(body string) string {
	return fmt.Sprintf(t.head+"Content-Length: %d\r\n\r\n%s", len(body), body)
}

func rpc(method, params string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q,"params":%s}`, method, params)
}

// templates are requests that the vault's rules allow, and others that they do not.
func templates() []template {
	const account = `"0x9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f"`
	const program = "POST / HTTP/1.1\r\nHost: localhost:8550\r\n" + isJSON
	secret := "0x" + hex.EncodeToString([]byte(forbidden+" text"))
	transaction := `{"from":` + account + `,"to":"0x1111111111111111111111111111111111111111","gas":"0x5208","maxFeePerGas":"0x1","maxPriorityFeePerGas":"0x1","value":"0x1","nonce":"0x0","chainId":"0x539"}`
	typed := `{"types":{"EIP712Domain":[{"name":"name","type":"string"}],"M":[{"name":"t","type":"string"}]},"primaryType":"M","domain":{"name":"x"},"message":{"t":"hi"}}`
	validator := `["data/validator",` + account + `,{"address":` + account + `,"message":"` + secret + `"}]`
	page := program + "Origin: https://evil.example\r\nSec-Fetch-Site: cross-site\r\n"
	return []template{
		{program, rpc("account_list", "[]"), true},
		{program, sign("allowed text"), true},
		{program, "[" + rpc("account_version", "[]") + "," + sign("allowed in a batch") + "]", true},
		{program, rpc("account_signTransaction", "["+transaction+"]"), true},
		{program, rpc("account_signTypedData", "["+account+","+typed+"]"), true},
		{program, rpc("account_signData", validator), true},
		{program, "[" + rpc("account_version", "[]") + "," + rpc("account_signTransaction", "["+transaction+"]") + "]", true},
		{page, rpc("account_signData", `["text/plain",`+account+`,"`+secret+`"]`), false},
		{page, rpc("account_list", "[]"), false},
	}
}

// fragments are what is put into requests, beside bytes.
func fragments() []string {
	return []string{
		"\r\n", "\n", "\r\n\r\n", "\x00", " ", "\t", ":", ",", "{", "}", "[", "]", "\"", "\\", "\\u0041", "\\ud800", "ſ", "K", "\xff\xfe", "\u202e",
		"Content-Length: 5\r\n", "Content-Length: 99999999999\r\n", "Transfer-Encoding: chunked\r\n", "Transfer-Encoding: identity\r\n",
		"Origin: null\r\n", "Origin: https://app.example.org\r\n", "Host: evil.example\r\n", "Expect: 100-continue\r\n", "Connection: close\r\n",
		"GET / HTTP/1.0\r\n", "0\r\n\r\n", "1;x=y\r\n",
		`"method":"account_signTransaction",`, `"METHOD":"account_signTypedData",`, `"method":"account_ecRecover",`, `"params":[],`, `"id":null,`, `"id":"splitvault-guard",`,
		`"jsonrpc":"2.0",`, "null", "1e999", "-0", "18446744073709551616", "0x", strings.Repeat("[", 200), strings.Repeat("a", 5000),
	}
}

// mutated returns n requests, the same for the same seed.
func mutated(seed uint64, n int) []string {
	random := rand.New(rand.NewPCG(seed, 0))
	all, parts := templates(), fragments()
	texts := make([]string, 0, n)
	for range n {
		t := all[random.IntN(len(all))]
		times := 1 + random.IntN(4)
		if random.IntN(2) == 0 { // in the body, with a length that is right
			texts = append(texts, t.text(mutate(random, t.body, parts, times)))
			continue
		}
		if text := t.text(t.body); t.whole {
			texts = append(texts, mutate(random, text, parts, times))
			continue
		}
		texts = append(texts, t.text(t.body)) // a page's, as it is
	}
	return texts
}

// mutate changes a text at some places.
func mutate(random *rand.Rand, text string, parts []string, times int) string {
	for range times {
		from := random.IntN(len(text) + 1)
		to := min(len(text), from+1+random.IntN(20))
		switch random.IntN(6) {
		case 0:
			text = text[:from] + parts[random.IntN(len(parts))] + text[from:]
		case 1: // instead of something
			text = text[:from] + parts[random.IntN(len(parts))] + text[to:]
		case 2:
			text = text[:from] + text[to:]
		case 3: // twice
			text = text[:to] + text[from:]
		case 4: // another byte
			text = text[:from] + string([]byte{byte(random.IntN(256))}) + text[min(len(text), from+1):]
		case 5: // cut short, now and then
			if random.IntN(4) == 0 {
				text = text[:from]
			}
		}
	}
	return text
}
