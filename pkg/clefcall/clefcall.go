// Package clefcall is what one qrexec call of qubes.Clefsign carries: on standard
// input
//
//	split-clef/1 {"origin":"https://app.example.org","ua":"…","uid":1000,"exe":"/usr/bin/geth"}\n
//	one JSON-RPC request, then the end
//
// and back one reply and a line feed. The first line is the client qube's word
// about who asks in it, and may be missing: a request alone is what
// `cat request.json | qrexec-client-vm vault qubes.Clefsign` sends. The call's
// argument is the request's method, or empty.
package clefcall

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/splitvault/splitvault/pkg/jsonrpc"
	"github.com/splitvault/splitvault/pkg/origin"
	"github.com/splitvault/splitvault/pkg/strictjson"
)

const (
	// MaxLine bounds the first line, in bytes, with its line feed.
	MaxLine = 4 << 10
	// MaxCall bounds all that a client may send.
	MaxCall = MaxLine + jsonrpc.MaxBody
	// MaxUserAgent and MaxExe bound these texts, in bytes.
	MaxUserAgent = 60
	MaxExe       = 200

	magic = "split-clef/1 "
)

// ErrPreamble says that a call's first line is none that this package writes.
var ErrPreamble = errors.New(`not a line "split-clef/1 {…}"`)

// Preamble is what the client qube says about who asks in it. Each may be
// missing; none is proven.
type Preamble struct {
	Origin    origin.Origin // "" for no web page
	UserAgent string        // as Clean leaves it
	UID       int64         // of the asking program's user, -1 if it is not known
	Exe       string        // the asking program's path, as Clean leaves it
}

// Append writes the line. Its texts must be as Clean leaves them.
func (p Preamble) Append(to []byte) []byte {
	separator := byte('{')
	text := func(key, value string) {
		if value != "" {
			to = append(append(to, separator, '"'), key...)
			to = strictjson.AppendString(append(to, `":`...), value)
			separator = ','
		}
	}
	to = append(to, magic...)
	text("origin", string(p.Origin))
	text("ua", p.UserAgent)
	if p.UID >= 0 {
		to = strconv.AppendInt(append(to, separator, '"', 'u', 'i', 'd', '"', ':'), p.UID, 10)
		separator = ','
	}
	text("exe", p.Exe)
	if separator == '{' {
		to = append(to, '{')
	}
	return append(to, "}\n"...)
}

// Split takes the first line off what a client sent, if it begins with one.
func Split(untrusted []byte) (Preamble, []byte, error) {
	none := Preamble{UID: -1}
	if len(untrusted) == 0 || untrusted[0] != magic[0] { // no JSON-RPC request begins so
		return none, untrusted, nil
	}
	end := bytes.IndexByte(untrusted[:min(len(untrusted), MaxLine)], '\n') + 1
	rest, ok := bytes.CutPrefix(untrusted[:end], []byte(magic))
	if !ok {
		return none, nil, fmt.Errorf("%w of at most %d bytes", ErrPreamble, MaxLine)
	}
	v, err := strictjson.Parse(rest)
	if err != nil {
		return none, nil, fmt.Errorf("%w: %w", ErrPreamble, err)
	}
	p, err := preamble(v)
	if err != nil {
		return none, nil, err
	}
	if again := p.Append(nil); !bytes.Equal(again, untrusted[:end]) {
		return none, nil, fmt.Errorf("%w: not its one spelling", ErrPreamble)
	}
	return p, untrusted[end:], nil
}

// preamble takes what it knows from an object; comparing the spelling finds the rest.
func preamble(v strictjson.Value) (Preamble, error) {
	p := Preamble{UID: -1}
	if page, ok := v.Get("origin"); ok {
		from, err := origin.Parse(page.Text())
		if err != nil {
			return p, fmt.Errorf("%w: %w", ErrPreamble, err)
		}
		p.Origin = from
	}
	if uid, ok := v.Get("uid"); ok {
		n, err := strconv.ParseUint(uid.Text(), 10, 32)
		if err != nil {
			return p, fmt.Errorf("%w: no user id", ErrPreamble)
		}
		p.UID = int64(n)
	}
	agent, _ := v.Get("ua")
	exe, _ := v.Get("exe")
	p.UserAgent, p.Exe = agent.Text(), exe.Text()
	if Clean(p.UserAgent, MaxUserAgent) != p.UserAgent || Clean(p.Exe, MaxExe) != p.Exe {
		return p, fmt.Errorf("%w: a text with other letters, or too long", ErrPreamble)
	}
	return p, nil
}

// Clean makes a text fit for a prompt of any program: letters, digits and a few
// signs, the rest a "_". Some front ends of Clef decode %XX and take markup, so
// that a text could alter what they show.
func Clean(untrusted string, limit int) string {
	clean := []byte(untrusted[:min(len(untrusted), limit)])
	for i, c := range clean {
		if !fit(c) {
			clean[i] = '_'
		}
	}
	return string(clean)
}

func fit(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte(" ._:/+;()=,-", c) >= 0
}

// Marker is the id of what a guard sends to its Clef. Whoever gets a request with
// it from a client has met its own guard: the qube is client and vault at once,
// and the request would go round.
func Marker() jsonrpc.ID { return jsonrpc.TextID("splitvault-guard") }

// ErrLoop is the answer to a request with the Marker as its id.
func ErrLoop() *jsonrpc.Error {
	return jsonrpc.Errorf(jsonrpc.CodeDisconnected, "signer not reachable: this qube is client and vault of qubes.Clefsign at once (its Clef must listen elsewhere than splitvault-clef.socket)")
}
