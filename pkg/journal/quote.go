package journal

import "strconv"

// maxQuoted is how much of a peer's text a field shows, in bytes.
const maxQuoted = 64

// Quote makes text of a peer fit to be logged and shown: printable ASCII, all
// else escaped, in quotation marks, at most 64 bytes of it.
func Quote(untrusted string) string {
	if len(untrusted) > maxQuoted {
		return strconv.QuoteToASCII(untrusted[:maxQuoted]) + "…"
	}
	return strconv.QuoteToASCII(untrusted)
}
