package clefguard

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/splitvault/splitvault/pkg/clefapi"
	"github.com/splitvault/splitvault/pkg/consent"
	"github.com/splitvault/splitvault/pkg/eth"
)

// data is what a person needs to know of what account_signData and
// account_signTypedData sign.
func data(use *clefapi.Use) (deed string, details []consent.Line) {
	add := func(label, text string) { details = append(details, consent.Line{Label: label, Text: text}) }
	switch {
	case use.Typed != nil:
		return typedData(use)
	case use.ContentType == "text/plain":
		deed = "sign a text"
		if !isText(use.Text) {
			deed = "sign bytes that are NO TEXT"
			add("Kind", "it can be the hash of anything, as of a Safe's transaction or an order")
		}
		details = append(details, long("Text", string(use.Text))...)
		add("Length", fmt.Sprintf("%d bytes", len(use.Text)))
		prefixed := fmt.Appendf(nil, "\x19Ethereum Signed Message:\n%d%s", len(use.Text), use.Text)
		add("Hash", fmt.Sprintf("%x, as Clef and wallets show it", eth.Keccak256(prefixed)))
	case use.ContentType == "data/validator":
		deed = "sign data for a contract"
		add("Contract", use.To.Checksummed())
		details = append(details, long("Data", fmt.Sprintf("%x", use.Text))...)
		add("Length", fmt.Sprintf("%d bytes", len(use.Text)))
		add("SHA-256", fmt.Sprintf("%x", sha256.Sum256(use.Text)))
	default:
		deed = "SEAL A BLOCK of a chain"
		add("Length", fmt.Sprintf("%d bytes", len(use.Text)))
		add("SHA-256", fmt.Sprintf("%x", sha256.Sum256(use.Text)))
	}
	return deed, details
}

// isText tells whether people could read it, in whatever script.
func isText(b []byte) bool {
	return utf8.Valid(b) && !bytes.ContainsFunc(b, func(r rune) bool { return unicode.IsControl(r) && !strings.ContainsRune("\t\n\r", r) })
}

const (
	perLine   = 200 // letters of a long text that one line of the dialog has room for
	headLines = 3   // of a long text that are shown of its beginning; of its end it is one
)

// long is a text over several lines: all of it, or its beginning and its end with
// how much is missing between them. What is missing can be anything: the hash of the
// whole is for comparing it.
func long(label, untrusted string) []consent.Line {
	var lines []consent.Line
	rest := untrusted
	for len(lines) == 0 || len(lines) < headLines && rest != "" {
		head := consent.Head(rest, perLine)
		lines = append(lines, consent.Line{Label: label, Text: head})
		rest = rest[len(head):]
		label = "and on"
	}
	tail := consent.Tail(rest, perLine)
	if hidden := len(rest) - len(tail); hidden > 0 {
		lines = append(lines,
			consent.Line{Label: "NOT SHOWN", Text: fmt.Sprintf("%d bytes between", hidden)},
			consent.Line{Label: "its end", Text: tail},
			consent.Line{Label: "SHA-256", Text: fmt.Sprintf("%x, of the whole text", sha256.Sum256([]byte(untrusted)))})
	} else if tail != "" {
		lines = append(lines, consent.Line{Label: label, Text: tail})
	}
	return lines
}
