package main

import (
	"context"
	"fmt"
	"io"

	"github.com/sirupsen/logrus"

	"github.com/splitvault/splitvault/pkg/clefguard"
	"github.com/splitvault/splitvault/pkg/consent"
	"github.com/splitvault/splitvault/pkg/rules"
)

// What a dapp sends: a payment, an approval of all of a token, and a batch of permits
// of which the last one is for all.
const (
	account = "0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F"
	payment = `"account_signTransaction","params":[{"from":"` + account + `","to":"0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",` +
		`"gas":"0x5208","gasPrice":"0x4a817c800","value":"0x6f05b59d3b20000","nonce":"0x7","chainId":"0x1"}]`
	approval = `"account_signTransaction","params":[{"from":"` + account + `","to":"0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",` +
		`"gas":"0xb3b0","gasPrice":"0x4a817c800","nonce":"0x8","chainId":"0x1","data":"0x095ea7b3` +
		`000000000000000000000000d1220a0cf47c7b9be7a2e6ba89f429762e7b9adb` + `ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"}]`
	permits = `"account_signTypedData","params":["` + account + `",{"types":{"EIP712Domain":[{"name":"name","type":"string"},{"name":"chainId","type":"uint256"},{"name":"verifyingContract","type":"address"}],` +
		`"PermitBatch":[{"name":"details","type":"PermitDetails[]"},{"name":"spender","type":"address"},{"name":"sigDeadline","type":"uint256"}],` +
		`"PermitDetails":[{"name":"token","type":"address"},{"name":"amount","type":"uint160"},{"name":"expiration","type":"uint48"},{"name":"nonce","type":"uint48"}]},` +
		`"primaryType":"PermitBatch","domain":{"name":"Permit2","chainId":"1","verifyingContract":"0x000000000022d473030f116ddee9f6b43ac78ba3"},"message":{"details":[` +
		`{"token":"0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359","amount":"1500000000000000000","expiration":"1800000000","nonce":"0"},` +
		`{"token":"0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB","amount":"1461501637330902918203684832716283019655932542975","expiration":"281474976710655","nonce":"0"}],` +
		`"spender":"0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb","sigDeadline":"1800000000"}}]`
)

// clef is what clef-guard asks about a request.
func clef(request string) consent.Request {
	file, err := rules.ParseClef("rules.toml", []byte("[[clef.rule]]\nqube = \"work\"\ndecision = \"ask\"\n"))
	if err != nil {
		panic(err)
	}
	log := logrus.New()
	log.SetOutput(io.Discard)
	var p person
	g := clefguard.Guard{
		Qube: "work", Rules: file.Clef, Log: log, Person: &p,
		Connect: func(context.Context) (clefguard.Backend, error) { return noClef{}, nil },
	}
	body := `split-clef/1 {"origin":"https://app.example.org"}` + "\n" + `{"jsonrpc":"2.0","id":1,"method":` + request + `}`
	if reply, err := g.Serve(context.Background(), "", []byte(body)); p.asked.Service == "" {
		panic(fmt.Sprint("nothing was asked: ", string(reply), err))
	}
	return p.asked
}

// person keeps the question, and says nothing.
type person struct{ asked consent.Request }

func (p *person) Ask(_ context.Context, r consent.Request) (consent.Answer, error) {
	p.asked = r
	return consent.Answer{}, nil
}

// noClef is there until the question is asked.
type noClef struct{ clefguard.Backend }

func (noClef) KeepAlive() error { return nil }
