package signer_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/splitvault/splitvault/test/signer"
)

// frontEnd is one of Clef's own user interfaces, which it talks to in lines of JSON
// (go-ethereum signer/core/stdioui.go). It approves what says so.
type frontEnd struct {
	mu    sync.Mutex
	shown []string
}

// serve answers Clef until it ends.
func (f *frontEnd) serve(from io.Reader, to io.Writer) {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var m struct {
			ID     json.RawMessage   `json:"id"`
			Method string            `json:"method"`
			Params []json.RawMessage `json:"params"`
		}
		if json.Unmarshal(lines.Bytes(), &m) != nil || m.ID == nil {
			continue
		}
		f.mu.Lock()
		f.shown = append(f.shown, lines.Text())
		f.mu.Unlock()
		answer, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": m.ID, "result": reply(m.Method, m.Params)})
		if err != nil {
			return
		}
		if _, err := to.Write(append(answer, '\n')); err != nil {
			return
		}
	}
}

func reply(method string, params []json.RawMessage) any {
	var p map[string]json.RawMessage
	if len(params) > 0 {
		_ = json.Unmarshal(params[0], &p) // another shape has none of the keys
	}
	switch method {
	case "ui_onInputRequired":
		if strings.Contains(string(p["title"]), "Master") {
			return map[string]string{"text": "masterpass1"}
		}
		return map[string]string{"text": "accountpass1"}
	case "ui_approveTx":
		return map[string]any{"transaction": p["transaction"], "approved": !strings.Contains(string(p["transaction"]), `"value":"0x2"`)}
	case "ui_approveListing":
		return map[string]any{"accounts": p["accounts"]}
	default:
		return map[string]bool{"approved": true}
	}
}

// The front end is told the qube as a fact and the page as its word, and what it says
// is what the client hears.
func TestAFrontEndOfClefIsToldWhoAsks(t *testing.T) {
	t.Parallel()
	signer.Require(t)
	home := t.TempDir()
	if err := signer.Home(t.Context(), home); err != nil {
		t.Fatal(err)
	}
	binary, err := signer.Binary()
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().(*net.TCPAddr)
	l.Close()
	args := signer.Args(home, address.Port)
	for i, a := range args { // its rules would decide before the front end
		if a == "--rules" {
			args = append(append(args[:i:i], args[i+2:]...), "--stdio-ui")
			break
		}
	}
	cmd := exec.Command(binary, args...)
	cmd.Dir, cmd.Env = home, []string{"HOME=" + home, "PATH=/usr/bin:/bin"}
	to, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	from, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ui, served := &frontEnd{}, make(chan struct{})
	go func() {
		ui.serve(from, to)
		close(served)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGINT)
		ended := time.AfterFunc(5*time.Second, func() { _ = cmd.Process.Kill() })
		<-served
		_ = cmd.Wait()
		ended.Stop()
	})
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", address.String())
		if err == nil {
			conn.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	g := guard(t, "tcp", address.String(), all)
	preamble := `split-clef/1 {"origin":"https://app.example.org","ua":"node"}` + "\n"
	for request, want := range map[string]string{
		req("account_list", `[]`): result(`["` + lower + `"]`),
		req("account_signData", `["text/plain","`+signer.Account+`","0x68656c6c6f"]`):                        result(`"` + signed + `"`),
		req("account_signTypedData", typedParams):                                                            result(`"` + typed + `"`),
		req("account_signTransaction", transaction("0x1111111111111111111111111111111111111111", "0x1", "")): `"hash":"0x8f1c87adeddb02ce91b1ef50b0549170433d4cd6f51bdb4059c7a113bf2a76e0"`,
		req("account_signTransaction", transaction(other, "0x2", "")):                                        `"message":"User denied: rejected in Clef"`,
	} {
		if got := ask(t, g, preamble+request); !strings.Contains(got, want) {
			t.Errorf("%s: %s", request, got)
		}
	}
	ui.mu.Lock()
	defer ui.mu.Unlock()
	told := 0
	for _, line := range ui.shown {
		if !strings.Contains(line, `"method":"ui_approve`) {
			continue
		}
		told++
		if !strings.Contains(line, `"User-Agent":"qube=work via splitvault; says node"`) || !strings.Contains(line, `"Origin":"qube:work says https://app.example.org"`) {
			t.Errorf("it was shown %s", line)
		}
	}
	if told != 5 {
		t.Errorf("it was asked %d times", told)
	}
}
