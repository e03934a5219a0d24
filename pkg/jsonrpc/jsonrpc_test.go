package jsonrpc_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/splitvault/splitvault/pkg/jsonrpc"
	"github.com/splitvault/splitvault/pkg/strictjson"
)

func TestARequestIsWrittenInItsOneSpelling(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`{ "id": 0, "jsonrpc": "2.0","method": "account_new","params": []}`:                                    `{"jsonrpc":"2.0","id":1,"method":"account_new","params":[]}`,
		`{"jsonrpc":"2.0","id":"a","method":"account_list"}`:                                                   `{"jsonrpc":"2.0","id":1,"method":"account_list","params":[]}`,
		`{"jsonrpc":"2.0","id":null,"method":"account_list","params":null}`:                                    `{"jsonrpc":"2.0","id":1,"method":"account_list","params":[]}`,
		`{"jsonrpc":"2.0","id":1.5,"method":"a_b","params":[ "x\u0041", {"b":1,"a":[-2]}, 9007199254740991 ]}`: `{"jsonrpc":"2.0","id":1,"method":"a_b","params":["xA",{"b":1,"a":[-2]},9007199254740991]}`,
	} {
		body := jsonrpc.Parse([]byte(in))
		if len(body.Calls) != 1 || body.Batch || body.Calls[0].Err != nil {
			t.Errorf("%s: %+v", in, body)
			continue
		}
		if got := string(body.Calls[0].Request.Append(nil, number(t, "1"))); got != want {
			t.Errorf("%s: %s", in, got)
		}
	}
}

// number returns an id that is a number.
func number(t *testing.T, n string) jsonrpc.ID {
	t.Helper()
	c := jsonrpc.ParseOne([]byte(`{"jsonrpc":"2.0","method":"a","id":` + n + `}`))
	if c.Err != nil {
		t.Fatal(c.Err)
	}
	return c.Request.ID
}

func TestWhatIsNoRequestIsRefusedWithItsID(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[", 70) + strings.Repeat("]", 70)
	for _, row := range []struct {
		name, text string
		code       jsonrpc.Code
		id         string
	}{
		{"case folding", `{"jsonrpc":"2.0","id":7,"method":"account_list","METHOD":"account_version"}`, jsonrpc.CodeParse, "null"},
		{"long s", `{"jſonrpc":"2.0","id":7,"method":"account_list"}`, jsonrpc.CodeInvalid, "7"},
		{"capital key alone", `{"jsonrpc":"2.0","id":7,"Method":"account_list"}`, jsonrpc.CodeInvalid, "7"},
		{"key of another case in params", `{"jsonrpc":"2.0","id":7,"method":"a","params":[{"to":"0x1","To":"0x2"}]}`, jsonrpc.CodeParse, "null"},
		{"another key", `{"jsonrpc":"2.0","id":7,"method":"a","extra":1}`, jsonrpc.CodeInvalid, "7"},
		{"notification", `{"jsonrpc":"2.0","method":"account_list"}`, jsonrpc.CodeInvalid, "null"},
		{"id is a list", `{"jsonrpc":"2.0","id":[],"method":"a"}`, jsonrpc.CodeInvalid, "null"},
		{"id is an object", `{"jsonrpc":"2.0","id":{},"method":"a"}`, jsonrpc.CodeInvalid, "null"},
		{"id is true", `{"jsonrpc":"2.0","id":true,"method":"a"}`, jsonrpc.CodeInvalid, "null"},
		{"long id", `{"jsonrpc":"2.0","id":"` + strings.Repeat("x", 255) + `","method":"a"}`, jsonrpc.CodeInvalid, "null"},
		{"no version", `{"id":7,"method":"a"}`, jsonrpc.CodeInvalid, "7"},
		{"other version", `{"jsonrpc":"1.0","id":7,"method":"a"}`, jsonrpc.CodeInvalid, "7"},
		{"version a number", `{"jsonrpc":2.0,"id":7,"method":"a"}`, jsonrpc.CodeInvalid, "7"},
		{"no method", `{"jsonrpc":"2.0","id":7}`, jsonrpc.CodeInvalid, "7"},
		{"method a number", `{"jsonrpc":"2.0","id":7,"method":7}`, jsonrpc.CodeInvalid, "7"},
		{"method of other letters", `{"jsonrpc":"2.0","id":7,"method":"a\nb"}`, jsonrpc.CodeNoMethod, "7"},
		{"method with plus", `{"jsonrpc":"2.0","id":7,"method":"a+b"}`, jsonrpc.CodeNoMethod, "7"},
		{"long method", `{"jsonrpc":"2.0","id":7,"method":"` + strings.Repeat("x", 65) + `"}`, jsonrpc.CodeNoMethod, "7"},
		{"params an object", `{"jsonrpc":"2.0","id":7,"method":"a","params":{}}`, jsonrpc.CodeParams, "7"},
		{"params a text", `{"jsonrpc":"2.0","id":7,"method":"a","params":"x"}`, jsonrpc.CodeParams, "7"},
		{"a number that is rounded", `{"jsonrpc":"2.0","id":7,"method":"a","params":[9007199254740992]}`, jsonrpc.CodeParams, "7"},
		{"a number below", `{"jsonrpc":"2.0","id":7,"method":"a","params":[[{"x":-9007199254740992}]]}`, jsonrpc.CodeParams, "7"},
		{"fraction", `{"jsonrpc":"2.0","id":7,"method":"a","params":[1.0]}`, jsonrpc.CodeParams, "7"},
		{"exponent", `{"jsonrpc":"2.0","id":7,"method":"a","params":[1e2]}`, jsonrpc.CodeParams, "7"},
		{"minus zero", `{"jsonrpc":"2.0","id":7,"method":"a","params":[-0]}`, jsonrpc.CodeParams, "7"},
		{"too deep", `{"jsonrpc":"2.0","id":7,"method":"a","params":` + deep + `}`, jsonrpc.CodeParse, "null"},
		{"text", `"account_list"`, jsonrpc.CodeInvalid, "null"},
		{"nothing", ``, jsonrpc.CodeParse, "null"},
		{"two values", `{"jsonrpc":"2.0","id":7,"method":"a"}{"jsonrpc":"2.0","id":7,"method":"b"}`, jsonrpc.CodeParse, "null"},
		{"too large", `{"jsonrpc":"2.0","id":7,"method":"a"}` + strings.Repeat(" ", jsonrpc.MaxBody), jsonrpc.CodeInvalid, "null"},
		{"empty batch", `[]`, jsonrpc.CodeInvalid, "null"},
	} {
		body := jsonrpc.Parse([]byte(row.text))
		c := body.Calls[0]
		if body.Batch || len(body.Calls) != 1 || c.Err == nil || c.Err.Code != row.code || c.Request.ID.String() != row.id {
			t.Errorf("%s: %+v, %v", row.name, c.Request, c.Err)
		}
		if c.Request.Method != "" || c.Request.Params != nil {
			t.Errorf("%s: something of it is left: %+v", row.name, c.Request)
		}
		if one := jsonrpc.ParseOne([]byte(row.text)); one.Err == nil || one.Err.Code != row.code {
			t.Errorf("%s: ParseOne: %+v", row.name, one)
		}
	}
}

func TestABatchIsTakenApart(t *testing.T) {
	t.Parallel()
	body := jsonrpc.Parse([]byte(`[{"jsonrpc":"2.0","id":1,"method":"a"},7,{"jsonrpc":"2.0","id":2},{"jsonrpc":"2.0","id":3,"method":"b"}]`))
	if !body.Batch || len(body.Calls) != 4 || body.Calls[0].Err != nil || body.Calls[1].Err == nil || body.Calls[2].Err == nil || body.Calls[3].Err != nil {
		t.Fatalf("%+v", body)
	}
	if id := body.Calls[2].Request.ID.String(); id != "2" {
		t.Errorf("id %s", id)
	}
	many := jsonrpc.Parse([]byte("[" + strings.Repeat(`{"jsonrpc":"2.0","id":"x","method":"a"},`, jsonrpc.MaxBatch) + `{"jsonrpc":"2.0","id":9,"method":"a"}]`))
	if len(many.Calls) != jsonrpc.MaxBatch+1 {
		t.Fatalf("%d answers", len(many.Calls))
	}
	for _, c := range many.Calls {
		if c.Err == nil || c.Err.Code != jsonrpc.CodeInvalid || c.Request.ID.String() == "null" {
			t.Errorf("a batch too large: %+v", c)
		}
	}
	if one := jsonrpc.ParseOne([]byte(`[{"jsonrpc":"2.0","id":1,"method":"a"}]`)); one.Err == nil || one.Err.Code != jsonrpc.CodeInvalid {
		t.Errorf("a batch for one: %+v", one)
	}
}

func TestRepliesGoBackUnderTheCallersID(t *testing.T) {
	t.Parallel()
	id := jsonrpc.TextID("a\"\x00é")
	for in, want := range map[string]string{
		`{"jsonrpc":"2.0","id":1,"result":["0x9d"]}` + "\n":                                        `{"jsonrpc":"2.0","id":"a\"\u0000é","result":["0x9d"]}`,
		`{"jsonrpc":"2.0","id":1,"result":null}`:                                                   `{"jsonrpc":"2.0","id":"a\"\u0000é","result":null}`,
		`{"jsonrpc":"2.0","id":1,"result":{"x":1.5e9}}`:                                            `{"jsonrpc":"2.0","id":"a\"\u0000é","result":{"x":1.5e9}}`,
		`{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"parse\u000aerror"}}`:         `{"jsonrpc":"2.0","id":"a\"\u0000é","error":{"code":-32700,"message":"parse\nerror"}}`,
		`{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"x","data":"why"}}`:              `{"jsonrpc":"2.0","id":"a\"\u0000é","error":{"code":-32000,"message":"x","data":"why"}}`,
		`{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"x","data":{"a":[1]},"more":1}}`: `{"jsonrpc":"2.0","id":"a\"\u0000é","error":{"code":-32000,"message":"x"}}`,
	} {
		reply, err := jsonrpc.ParseReply([]byte(in))
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		if got := string(reply.Append(nil, id)); got != want {
			t.Errorf("%s: %s", in, got)
		}
	}
}

func TestWhatIsNoReplyIsRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		``, `hello from /etc/profile`, `[]`, `{}`, `null`, `{"jsonrpc":"2.0","id":1}`, `{"jsonrpc":"2.0","result":1}`, `{"id":1,"result":1}`,
		`{"jsonrpc":"2.0","id":1,"result":1,"error":{"code":1,"message":"x"}}`, `{"jsonrpc":"2.0","id":1,"result":1,"x":2}`,
		`{"jsonrpc":"2.0","id":1,"Result":1}`, `{"jsonrpc":"2.0","id":{},"result":1}`, `{"jsonrpc":"2.0","id":1,"error":null}`,
		`{"jsonrpc":"2.0","id":1,"error":{"code":"1","message":"x"}}`, `{"jsonrpc":"2.0","id":1,"error":{"code":1.5,"message":"x"}}`,
		`{"jsonrpc":"2.0","id":1,"error":{"code":1}}`, `{"jsonrpc":"2.0","id":1,"error":{"code":99999999999999999999,"message":"x"}}`,
		`{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"` + strings.Repeat("x", 5000) + `"}}`,
		`{"jsonrpc":"2.0","id":1,"result":1}{}`, `{"jsonrpc":"2.0","id":1,"result":"` + strings.Repeat("x", jsonrpc.MaxReply) + `"}`,
	} {
		if reply, err := jsonrpc.ParseReply([]byte(text)); !errors.Is(err, jsonrpc.ErrReply) {
			t.Errorf("%.80s: %+v, %v", text, reply, err)
		}
	}
}

// lenient is a request as go-ethereum decodes one (rpc/json.go, jsonrpcMessage).
type lenient struct {
	Version string          `json:"jsonrpc,omitempty"`
	ID      json.RawMessage `json:"id,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
}

// What is judged is what a decoder of Clef's kind makes of both the client's
// bytes and ours; and ours stay as they are.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`{ "id": 0, "jsonrpc": "2.0","method": "account_new","params": []}`,
		`{"jsonrpc":"2.0","id":"ab\u0063","method":"account_signTransaction","params":[{"from":"0x9d","value":1,"VALUE":7}]}`,
		`{"method":"account_list","METHOD":"account_version","jsonrpc":"2.0","id":1}`,
		`[{"jsonrpc":"2.0","id":1,"method":"a"},{"jſonrpc":"2.0","id":1,"method":"a"}]`,
		`{"jsonrpc":"2.0","id":null,"method":"rpc_modules","params":null}`, `[]`, `[1e999]`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		body := jsonrpc.Parse(text)
		if len(body.Calls) == 0 {
			t.Fatal("no answer")
		}
		var raw []json.RawMessage
		if body.Batch {
			if err := json.Unmarshal(text, &raw); err != nil || len(raw) != len(body.Calls) {
				t.Fatalf("%q: %d calls, encoding/json has %d, %v", text, len(body.Calls), len(raw), err)
			}
		} else {
			raw = []json.RawMessage{text}
		}
		for i, c := range body.Calls {
			if c.Err == nil {
				agree(t, raw[i], c.Request)
			}
		}
	})
}

func agree(t *testing.T, text []byte, r jsonrpc.Request) {
	t.Helper()
	ours := r.Append(nil, r.ID)
	for _, b := range [][]byte{text, ours} {
		var theirs lenient
		if err := json.NewDecoder(bytes.NewReader(b)).Decode(&theirs); err != nil {
			t.Fatalf("%q: %v", b, err)
		}
		params, err := strictjson.Parse(append([]byte{}, orEmpty(theirs.Params)...))
		if err != nil {
			t.Fatalf("%q: %v", theirs.Params, err)
		}
		if theirs.Version != "2.0" || theirs.Method != r.Method || !bytes.Equal(params.Append(nil), r.AppendParams(nil)) || len(theirs.ID) == 0 && r.ID.String() != "null" {
			t.Fatalf("%q: encoding/json has %+v, we %+v", b, theirs, r)
		}
	}
	again := jsonrpc.ParseOne(ours)
	if again.Err != nil || !bytes.Equal(again.Request.Append(nil, again.Request.ID), ours) {
		t.Fatalf("%q: %+v", ours, again)
	}
}

func orEmpty(params json.RawMessage) json.RawMessage {
	if len(params) == 0 || string(params) == "null" {
		return json.RawMessage("[]")
	}
	return params
}

func FuzzReply(f *testing.F) {
	for _, s := range []string{
		`{"jsonrpc":"2.0","id":1,"result":{"raw":"0x","tx":{}}}`, `{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"x","data":"y"}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		reply, err := jsonrpc.ParseReply(text)
		if err != nil {
			return
		}
		ours := reply.Append(nil, reply.ID)
		again, err := jsonrpc.ParseReply(ours)
		if err != nil || !bytes.Equal(again.Append(nil, again.ID), ours) {
			t.Fatalf("%q: %v", ours, err)
		}
	})
}

func ExampleRequest_Append() {
	c := jsonrpc.ParseOne([]byte(`{ "id": 0, "jsonrpc": "2.0","method": "account_new","params": []}`))
	fmt.Printf("%s\n", c.Request.Append(nil, jsonrpc.TextID("ours")))
	fmt.Printf("%s\n", jsonrpc.Reply{Err: jsonrpc.Errorf(jsonrpc.CodeUserDenied, "User denied: no")}.Append(nil, c.Request.ID))
	// Output:
	// {"jsonrpc":"2.0","id":"ours","method":"account_new","params":[]}
	// {"jsonrpc":"2.0","id":0,"error":{"code":4001,"message":"User denied: no"}}
}
