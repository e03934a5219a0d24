package clefattacks

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// attack is something that a web page, another program or a confused proxy could
// send, and that must not reach Clef.
type attack struct {
	name string
	// text returns what is sent; sign is a request for a signature of this
	// attack's own text.
	text func(sign string) string
}

// sign is a request for a signature of a text.
func sign(text string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"account_signData","params":["text/plain","0x9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f","0x%s"]}`, hex.EncodeToString([]byte(text)))
}

func post(fields, body string) string {
	return fmt.Sprintf("POST / HTTP/1.1\r\nHost: localhost:8550\r\n%sContent-Length: %d\r\n\r\n%s", fields, len(body), body)
}

const isJSON = "Content-Type: application/json\r\n"

// good is what must reach Clef: else the rest shows nothing.
func good(sign string) string { return post(isJSON, sign) }

func attacks() []attack {
	page := func(fields string) func(string) string {
		return func(sign string) string { return post(fields, sign) }
	}
	return append([]attack{
		// Pages.
		{"a form of any page", page("Origin: null\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nContent-Type: text/plain\r\n")},
		{"a page's request without asking", page("Origin: https://evil.example\r\nSec-Fetch-Site: cross-site\r\nContent-Type: text/plain\r\n")},
		{"a beacon", page("Origin: https://evil.example\r\nContent-Type: text/plain;charset=UTF-8\r\n")},
		{"a page's JSON", page("Origin: https://evil.example\r\n" + isJSON)},
		{"a form of an old browser", page("Referer: http://evil.example/\r\nContent-Type: application/x-www-form-urlencoded\r\n")},
		{"a form with a cookie", page("Cookie: a=b\r\nContent-Type: application/x-www-form-urlencoded\r\n")},
		{"an upload", page("Content-Type: multipart/form-data; boundary=x\r\n")},
		{"two origins", page("Origin: https://app.example.org\r\nOrigin: https://evil.example\r\n" + isJSON)},
		{"a browser without origin", page("Sec-Fetch-Site: same-site\r\n" + isJSON)},
		{"DNS rebinding", func(sign string) string {
			return strings.Replace(good(sign), "Host: localhost:8550", "Host: rebind.evil.example:8550", 1)
		}},
		{"two hosts", page("Host: rebind.evil.example\r\n" + isJSON)},
		{"a proxy's request", func(sign string) string {
			return strings.Replace(good(sign), "POST / ", "POST http://rebind.evil.example/ ", 1)
		}},
		// Readings of JSON.
		{"a method in two spellings", page2(func(sign string) string {
			return strings.Replace(sign, `"method":`, `"method":"account_version","METHOD":`, 1)
		})},
		{"a key in a letter of another kind", page2(func(sign string) string { return strings.Replace(sign, `"params"`, `"paramſ"`, 1) })},
		{"a notification", page2(func(sign string) string { return strings.Replace(sign, `"id":1,`, "", 1) })},
		{"a second value", page2(func(sign string) string { return `{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}` + sign })},
		{"a second value behind", page2(func(sign string) string { return sign + "{}" })},
		{"an id that is a list", page2(func(sign string) string { return strings.Replace(sign, `"id":1`, `"id":[1]`, 1) })},
		{"half a letter", page2(func(sign string) string { return strings.Replace(sign, `"id":1`, `"id":"\ud800"`, 1) })},
		{"our own guard's request", page2(func(sign string) string { return strings.Replace(sign, `"id":1`, `"id":"splitvault-guard"`, 1) })},
	}, smuggling()...)
}

// page2 is a program's request with another body.
func page2(alter func(sign string) string) func(string) string {
	return func(sign string) string { return good(alter(sign)) }
}

// smuggling are requests that two servers take apart differently.
func smuggling() []attack {
	chunked := func(sign, size, end string) string {
		return "POST / HTTP/1.1\r\nHost: localhost\r\n" + isJSON + "Transfer-Encoding: chunked\r\n\r\n" + size + "\r\n" + sign + "\r\n0" + end
	}
	with := func(fields string) func(string) string {
		return func(sign string) string {
			return "POST / HTTP/1.1\r\nHost: localhost\r\n" + isJSON + fields + "\r\n" + sign
		}
	}
	size := func(sign string) string { return fmt.Sprintf("%x", len(sign)) }
	return []attack{
		{"length and chunks", func(sign string) string {
			return fmt.Sprintf("POST / HTTP/1.1\r\nHost: localhost\r\n%sContent-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n%s", isJSON, len(good(sign))+5, good(sign))
		}},
		{"chunks and length", func(sign string) string {
			return fmt.Sprintf("POST / HTTP/1.1\r\nHost: localhost\r\n%sTransfer-Encoding: chunked\r\nContent-Length: %d\r\n\r\n%s\r\n%s\r\n0\r\n\r\n", isJSON, len(sign), size(sign), sign)
		}},
		{"two lengths", func(sign string) string {
			return fmt.Sprintf("POST / HTTP/1.1\r\nHost: localhost\r\n%sContent-Length: %d\r\nContent-Length: 0\r\n\r\n%s", isJSON, len(sign), sign)
		}},
		{"a length with a sign", func(sign string) string {
			return strings.Replace(good(sign), "Content-Length: ", "Content-Length: +", 1)
		}},
		{"a length in capitals and blanks", func(sign string) string {
			return strings.Replace(good(sign), "Content-Length: ", "Content-Length : ", 1)
		}},
		{"a bare line feed in the header", func(sign string) string {
			return strings.Replace(good(sign), isJSON, "X: a\n"+isJSON, 1)
		}},
		{"line feeds alone", func(sign string) string { return strings.ReplaceAll(good(sign), "\r\n", "\n") }},
		{"a folded line", func(sign string) string {
			return strings.Replace(good(sign), isJSON, "X: a\r\n b\r\n"+isJSON, 1)
		}},
		{"a NUL in the header", func(sign string) string {
			return strings.Replace(good(sign), isJSON, "X: a\x00b\r\n"+isJSON, 1)
		}},
		{"an unknown coding", with("Transfer-Encoding: xchunked\r\n")},
		{"a chunk extension", func(sign string) string { return chunked(sign, size(sign)+";a=b", "\r\n\r\n") }},
		{"a trailer", func(sign string) string { return chunked(sign, size(sign), "\r\nHost: evil.example\r\n\r\n") }},
		{"a chunk size with 0x", func(sign string) string { return chunked(sign, "0x"+size(sign), "\r\n\r\n") }},
		{"GET with a body", func(sign string) string { return strings.Replace(good(sign), "POST", "GET", 1) }},
		{"OPTIONS with a body", func(sign string) string { return strings.Replace(good(sign), "POST", "OPTIONS", 1) }},
		{"another protocol", func(sign string) string {
			return strings.Replace(good(sign), isJSON, "Connection: Upgrade\r\nUpgrade: h2c\r\n"+isJSON, 1)
		}},
		{"a header of 17 KiB", func(sign string) string {
			return strings.Replace(good(sign), isJSON, "X: "+strings.Repeat("a", 17<<10)+"\r\n"+isJSON, 1)
		}},
		{"a body of over 5 MiB", func(sign string) string { return good(sign + strings.Repeat(" ", 5<<20)) }},
	}
}
