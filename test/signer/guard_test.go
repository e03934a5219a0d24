package signer_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	logtest "github.com/sirupsen/logrus/hooks/test"

	"github.com/splitvault/splitvault/pkg/clefbackend"
	"github.com/splitvault/splitvault/pkg/clefguard"
	"github.com/splitvault/splitvault/pkg/cooldown"
	"github.com/splitvault/splitvault/pkg/eth"
	"github.com/splitvault/splitvault/pkg/rules"
	"github.com/splitvault/splitvault/test/signer"
)

const (
	lower = "0x9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f"
	other = "0x2222222222222222222222222222222222222222"
	all   = "[[clef.rule]]\nqube = \"work\"\nmethods = [\"*\"]\ncontent_types = [\"text/plain\", \"data/typed\", \"data/validator\"]\ndecision = \"allow\"\n" +
		"[[clef.rule]]\nqube = \"work\"\nmethods = [\"*\"]\ndecision = \"allow\"\n"
	signed = "0xf63c93dc642a4839770b35abf9cb304ac2f1b5463d9a9abd87546feaa0af992e659cf087c433e45c45f6135cb819ab1922c6359dbb1b8c8d7a54141de2cd4beb1b"
	typed  = "0xc9e329562ccf67dde19efba9e8046949b1c35e1f69b28843f3a604fa6cd88be7496693d829719cef30889071597fa58dd1f0a408d8deb088a4f12ae9249ff5331b"
)

// guard judges for the qube work, before a real Clef.
func guard(t testing.TB, network, address, text string) *clefguard.Guard {
	t.Helper()
	file, err := rules.ParseClef("rules.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	log, _ := logtest.NewNullLogger()
	g := &clefguard.Guard{Qube: "work", Vault: "vault", Rules: file.Clef, Log: log}
	g.Connect = func(ctx context.Context) (clefguard.Backend, error) {
		conn, err := clefbackend.Dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		t.Cleanup(func() { conn.Close() })
		return conn, nil
	}
	return g
}

func ask(t testing.TB, g *clefguard.Guard, untrusted string) string {
	t.Helper()
	reply, err := g.Serve(t.Context(), "", []byte(untrusted))
	if err != nil {
		t.Error(err)
	}
	return string(reply)
}

func req(method, params string) string {
	return `{"jsonrpc":"2.0","id":7,"method":"` + method + `","params":` + params + `}`
}

func transaction(to, value, more string) string {
	return `[{"from":"` + signer.Account + `","to":"` + to + `","gas":"0x5208","maxFeePerGas":"0x3b9aca00","maxPriorityFeePerGas":"0x3b9aca00","value":"` +
		value + `","nonce":"0x0","chainId":"0x539","input":"0x"` + more + `}]`
}

const typedParams = `["` + signer.Account + `",{"types":{"EIP712Domain":[{"name":"name","type":"string"},{"name":"chainId","type":"uint256"}],` +
	`"M":[{"name":"t","type":"string"}]},"primaryType":"M","domain":{"name":"x","chainId":"1337"},"message":{"t":"hi"}}]`

func result(s string) string { return `{"jsonrpc":"2.0","id":7,"result":` + s + `}` }

// Every method, with the answers that are known, over HTTP and over IPC.
func TestEveryMethodOfTheRealClef(t *testing.T) {
	t.Parallel()
	c := signer.Start(t)
	for network, address := range map[string]string{"tcp": c.HTTP, "unix": c.Socket} {
		g := guard(t, network, address, all)
		for name, row := range map[string]struct{ method, params, want string }{
			"version":   {"account_version", `[]`, result(`"6.1.0"`)},
			"list":      {"account_list", `[]`, result(`["` + lower + `"]`)},
			"text":      {"account_signData", `["text/plain","` + signer.Account + `","0x68656c6c6f"]`, result(`"` + signed + `"`)},
			"recover":   {"account_ecRecover", `["0x68656c6c6f","` + signed + `"]`, result(`"` + lower + `"`)},
			"typed":     {"account_signTypedData", typedParams, result(`"` + typed + `"`)},
			"modules":   {"rpc_modules", `[]`, result(`{"account":"1.0","rpc":"1.0"}`)},
			"in hex":    {"account_signData", `["data/typed","` + signer.Account + `","0x` + hex.EncodeToString([]byte(typedParams[len(signer.Account)+4:len(typedParams)-1])) + `"]`, result(`"` + typed + `"`)},
			"validator": {"account_signData", `["data/validator","` + signer.Account + `",{"address":"` + signer.Account + `","message":"0x00"}]`, `"result":"0x`},
			"safe":      {"account_signGnosisSafeTx", `["` + signer.Account + `",{"safe":"` + other + `","to":"` + other + `","value":"1","data":null,"operation":0,"gasToken":"0x0000000000000000000000000000000000000000","refundReceiver":"0x0000000000000000000000000000000000000000","gasPrice":"0","baseGas":0,"safeTxGas":0,"nonce":3,"safeTxHash":"0xd95126022ee034310843b4bbbc341e97a733323d3a35ef85d5c75754e5d0c46c"}]`, `"result":`},
			"chain":     {"account_signTransaction", strings.Replace(strings.Replace(transaction(other, "0x1", ""), "0x539", "0x1", 1), `"maxFeePerGas":"0x3b9aca00","maxPriorityFeePerGas":"0x3b9aca00"`, `"gasPrice":"0x1"`, 1), `"error":{"code":-32000,"message":"requested chainid 1 does not match the configuration of the signer"}`},
			"account":   {"account_signData", `["text/plain","` + other + `","0x00"]`, `"error":{"code":-32000,"message":"unknown account"}`},
			"rejected":  {"account_signTransaction", transaction(other, "0x2", ""), `"error":{"code":4001,"message":"User denied: rejected in Clef","data":"request denied"}`},
		} {
			if got := ask(t, g, req(row.method, row.params)); !strings.Contains(got, row.want) {
				t.Errorf("%s, %s: %s", network, name, got)
			} else if name == "safe" && (!strings.Contains(got, `"signature":"0x`) || !strings.Contains(got, `"result":`)) {
				t.Errorf("%s, %s: %s", network, name, got)
			}
		}
		got := ask(t, g, req("account_signTransaction", transaction("0x1111111111111111111111111111111111111111", "0x1", "")))
		if !strings.Contains(got, `"hash":"0x8f1c87adeddb02ce91b1ef50b0549170433d4cd6f51bdb4059c7a113bf2a76e0"`) {
			t.Errorf("%s, transaction: %s", network, got)
		}
	}
	checkSignatures(t)
}

// checkSignatures has the known signatures checked by code that Clef does not have.
func checkSignatures(t *testing.T) {
	t.Helper()
	domainType, messageType := eth.Keccak256([]byte("EIP712Domain(string name,uint256 chainId)")), eth.Keccak256([]byte("M(string t)"))
	name, text := eth.Keccak256([]byte("x")), eth.Keccak256([]byte("hi"))
	chain := [32]byte{30: 0x05, 31: 0x39}
	domain := eth.Keccak256(join(domainType[:], name[:], chain[:]))
	message := eth.Keccak256(join(messageType[:], text[:]))
	for signature, hash := range map[string][32]byte{
		signed: eth.Keccak256([]byte("\x19Ethereum Signed Message:\n5hello")),
		typed:  eth.Keccak256(join([]byte{0x19, 0x01}, domain[:], message[:])),
	} {
		b, err := hex.DecodeString(signature[2:])
		if err != nil {
			t.Fatal(err)
		}
		if from, err := signer.Recover(hash, b); err != nil || string(from) != lower {
			t.Errorf("%s is by %s, %v", signature, from, err)
		}
		b[0] ^= 1
		if from, err := signer.Recover(hash, b); err == nil && string(from) == lower {
			t.Error("any signature counts")
		}
	}
}

func join(parts ...[]byte) []byte {
	var b []byte
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

// Over HTTP Clef and its rules are told who asks, whatever the client sends.
func TestTheRealClefIsToldWhoAsks(t *testing.T) {
	t.Parallel()
	c := signer.Start(t)
	g := guard(t, "tcp", c.HTTP, all)
	ask(t, g, `split-clef/1 {"origin":"https://app.example.org","ua":"node; qube=dom0"}`+"\n"+req("account_list", `[]`))
	meta := `"User-Agent":"qube=work via splitvault; says node; qube=dom0","Origin":"qube:work says https://app.example.org"`
	c.WaitFor(t, meta)
	if audit := c.Audit(t); !strings.Contains(audit, "qube=work via splitvault; says node") {
		t.Errorf("Clef's audit log: %s", audit)
	}
	for _, hostile := range []string{`%22,%22Origin%22:%22x`, `<b>`, `a\nOrigin: x`, `\u202e`, `"`} {
		preamble, err := json.Marshal(map[string]string{"ua": hostile})
		if err != nil {
			t.Fatal(err)
		}
		if got := ask(t, g, "split-clef/1 "+string(preamble)+"\n"+req("account_list", `[]`)); !strings.Contains(got, "-32600") {
			t.Errorf("%q: %s", hostile, got)
		}
	}
	if out := c.Output(); strings.Contains(out, "%22") || strings.Contains(out, "<b>") || strings.Contains(out, "\u202e") {
		t.Errorf("Clef said:\n%s", out)
	}
}

// Clef's HTTP server gives up after 29.9 s, its socket never; and a no is remembered.
func TestAPersonMayTakeMinutesOverIPC(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("Clef's own limit is half a minute")
	}
	overHTTP, overIPC := signer.Start(t), signer.Start(t)
	asks := req("account_signTransaction", transaction(other, "0x3", ""))
	var both sync.WaitGroup
	both.Go(func() {
		g := guard(t, "tcp", overHTTP.HTTP, all)
		start := time.Now()
		got := ask(t, g, asks)
		if took := time.Since(start); !strings.Contains(got, `"code":4001,"message":"User denied: no answer within 30 s`) || took < 29*time.Second {
			t.Errorf("after %v: %s", took, got)
		}
	})
	both.Go(func() {
		g := guard(t, "unix", overIPC.Socket, all)
		mark, err := cooldown.Open(t.TempDir(), "work")
		if err != nil {
			t.Error(err)
			return
		}
		defer mark.Close()
		g.Refused = mark
		time.AfterFunc(31*time.Second, func() { overIPC.Type(t, "y") })
		if got := ask(t, g, asks); !strings.Contains(got, `"raw":"0x02`) {
			t.Errorf("over IPC: %s", got)
		}
		time.AfterFunc(time.Second, func() { overIPC.Type(t, "n") })
		if got := ask(t, g, asks); !strings.Contains(got, "User denied: rejected in Clef") {
			t.Errorf("a no: %s", got)
		}
		if got := ask(t, g, asks); !strings.Contains(got, "User denied: a request was refused a moment ago") {
			t.Errorf("after a no: %s", got)
		}
	})
	both.Wait()
}

// A new account takes a person at Clef's prompt, and the name that Clef gives it.
func TestANewAccountTakesAPerson(t *testing.T) {
	t.Parallel()
	c := signer.Start(t)
	g := guard(t, "unix", c.Socket, all)
	go func() {
		c.WaitFor(t, "A request has been made to create a new account")
		c.Type(t, "y")
		c.WaitFor(t, "Please enter a password for the new account")
		c.Type(t, "accountpass2")
	}()
	got := ask(t, g, `{ "id": 0, "jsonrpc": "2.0","method": "account_new","params": []}`)
	if !strings.Contains(got, `{"jsonrpc":"2.0","id":0,"result":"0x`) {
		t.Errorf("%s", got)
	}
}

// Of 10 000 requests made to look like others, the real Clef signs none that the
// rules do not allow: its own log tells.
func TestTheRealClefSignsNothingThatIsNotAllowed(t *testing.T) {
	t.Parallel()
	c := signer.Start(t)
	g := guard(t, "tcp", c.HTTP, `
[[clef.rule]]
qube = "work"
methods = ["account_signTransaction"]
accounts = ["`+signer.Account+`"]
chains = [1337]
to = ["0x1111111111111111111111111111111111111111"]
max_value = "10 wei"
calls = ["none"]
decision = "allow"
`)
	r := rand.New(rand.NewPCG(3, 5))
	base := req("account_signTransaction", transaction("0x1111111111111111111111111111111111111111", "0x1", ""))
	pieces := []string{
		`"to":"` + other + `"`, `"To":"` + other + `"`, `"value":"0xffff"`, `"VALUE":"0xffff"`, `"data":"0xa9059cbb"`, `"input":"0x00"`, `"chainId":"0x1"`, `"ſrom":""`, `"chainid":"0x1"`,
		`"method":"account_list"`, `"METHOD":"account_list"`, `"from":"` + other + `"`, `"params":[]`, `"tO":null`, `"gaſ":"0x1"`, `"Input":"0x00"`, `"id":2`,
	}
	granted := 0
	for range 10_000 {
		if body := twist(r, base, pieces); strings.Contains(ask(t, g, body), `"result"`) {
			granted++
		}
	}
	audit := c.Audit(t)
	signatures := 0
	for line := range strings.Lines(audit) {
		if !strings.Contains(line, "SignTransaction") || !strings.Contains(line, "type=request") {
			continue
		}
		signatures++
		if !strings.Contains(line, `\"to\":\"0x1111111111111111111111111111111111111111\"`) || strings.Contains(line, "ffff") || strings.Contains(line, "2222") {
			t.Errorf("signed: %s", line)
		}
	}
	if granted < 20 || signatures < granted || strings.Contains(audit, "msg=List") {
		t.Errorf("%d granted, %d signed:\n%.2000s", granted, signatures, audit)
	}
	t.Logf("%d of 10000 were the same in other words", granted)
}

// twist changes a request in two to four places.
func twist(r *rand.Rand, text string, pieces []string) string {
	b := []byte(text)
	for range 2 + r.IntN(3) {
		at := r.IntN(len(b))
		switch r.IntN(4) {
		case 0:
			b[at] ^= 1 << r.IntN(8)
		case 1:
			b = append(b[:at:at], b[min(len(b), at+1):]...)
		case 2:
			b = append(b[:at:at], append([]byte(" "), b[at:]...)...)
		default:
			if i := strings.IndexByte(string(b[at:]), ','); i >= 0 {
				b = append(b[:at+i:at+i], append([]byte(","+pieces[r.IntN(len(pieces))]), b[at+i:]...)...)
			}
		}
	}
	return string(b)
}

func BenchmarkListThroughTheGuard(b *testing.B) {
	c := signer.Start(b)
	for network, address := range map[string]string{"http": c.HTTP, "ipc": c.Socket} {
		b.Run(network, func(b *testing.B) {
			g := guard(b, map[string]string{"http": "tcp", "ipc": "unix"}[network], address, all)
			for b.Loop() {
				if got := ask(b, g, req("account_list", `[]`)); !strings.Contains(got, lower) {
					b.Fatal(fmt.Errorf("%s", got))
				}
			}
		})
	}
}
