package clefguard_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"

	"github.com/splitvault/splitvault/pkg/clefbackend"
	"github.com/splitvault/splitvault/pkg/clefguard"
	"github.com/splitvault/splitvault/pkg/consent"
	"github.com/splitvault/splitvault/pkg/jsonrpc"
	"github.com/splitvault/splitvault/pkg/rules"
)

const (
	accountA = "0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F"
	accountB = "0x2222222222222222222222222222222222222222"
	to       = "0x1111111111111111111111111111111111111111"
)

// clef stands for the real one: it writes down what it gets, and says what it is told to.
type clef struct {
	mu     sync.Mutex
	got    []string // requests, in our spelling
	from   []clefbackend.Caller
	says   string // a reply; "" is a good one
	fails  error
	during func() // what happens while it works
}

func (c *clef) Call(ctx context.Context, r jsonrpc.Request, from clefbackend.Caller) (jsonrpc.Reply, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got, c.from = append(c.got, string(r.Append(nil, r.ID))), append(c.from, from)
	if c.during != nil {
		c.during()
	}
	if c.fails != nil {
		return jsonrpc.Reply{}, c.fails
	}
	says := c.says
	if says == "" {
		says = `{"jsonrpc":"2.0","id":1,"result":"0xf63c"}`
		if r.Method == "account_list" {
			says = `{"jsonrpc":"2.0","id":1,"result":["` + strings.ToLower(accountA) + `","` + accountB + `"]}`
		}
	}
	return jsonrpc.ParseReply([]byte(says))
}

func (c *clef) KeepAlive() error { return nil }

// person answers what it is told to, and writes down what it was asked.
type person struct {
	answer consent.Answer
	err    error
	asked  []consent.Request
}

func (p *person) Ask(_ context.Context, r consent.Request) (consent.Answer, error) {
	p.asked = append(p.asked, r)
	return p.answer, errors.Join(p.err, r.Check())
}

type world struct {
	*clefguard.Guard
	clef *clef
	hook *logtest.Hook
}

// vault is a guard with these rules for the qube work.
func vault(t testing.TB, text string) world {
	t.Helper()
	file, err := rules.ParseClef("rules.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	log, hook := logtest.NewNullLogger()
	log.SetLevel(logrus.DebugLevel)
	w := world{&clefguard.Guard{Qube: "work", Vault: "vault", Rules: file.Clef, Log: log}, &clef{}, hook}
	w.Connect = func(context.Context) (clefguard.Backend, error) { return w.clef, nil }
	return w
}

// ask sends what a client sends, and returns the reply.
func (w world) ask(t testing.TB, argument, untrusted string) string {
	t.Helper()
	reply, err := w.Serve(t.Context(), argument, []byte(untrusted))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := jsonrpc.ParseReply(reply); err != nil {
		t.Fatalf("%q: %v", reply, err)
	}
	return string(reply)
}

func req(method, params string) string {
	return `{"jsonrpc":"2.0","id":"mine","method":"` + method + `","params":` + params + `}`
}

func transaction(more string) string {
	return `[{"from":"` + accountA + `","to":"` + to + `","gas":"0x5208","gasPrice":"0x3b9aca00","nonce":"0x0","chainId":"0x539"` + more + `}]`
}

const allowSome = `
[[clef.rule]]
qube = "work"
methods = ["account_version", "account_list"]
accounts = ["` + accountA + `"]
decision = "allow"

[[clef.rule]]
qube = "work"
methods = ["account_signTransaction"]
accounts = ["` + accountA + `"]
chains = [1337]
to = ["` + to + `"]
max_value = "10 wei"
calls = ["none"]
decision = "allow"
`
