package passproto

import (
	"errors"
	"strconv"
	"strings"
)

// insertMark begins the input of a pass.InsertPassword call that says how long the secret
// is. qrexec ends an input in the same way whether its sender is done or was killed, so
// that only a length tells a whole secret from the first half of one. No password begins
// with NUL: what a person or a script sends as it is remains what it is.
const insertMark = "\x00split-pass/1 "

// MaxInsertHeader bounds the bytes before the secret.
const MaxInsertHeader = len(insertMark) + 8

// ErrCut says that an input is not as long as it says.
var ErrCut = errors.New("what was sent is cut short, or longer than it says")

// InsertHeader is what stands before a secret of n bytes: NUL, "split-pass/1 ", n in
// decimal, LF.
func InsertHeader(n int) string { return insertMark + strconv.Itoa(n) + "\n" }

// InsertBody tells where in the whole input the secret begins: 0 if there is no header, and
// nobody says how long it is. [ErrCut] is for one that is not whole.
func InsertBody(untrusted []byte) (begin int, err error) {
	if len(untrusted) == 0 || untrusted[0] != insertMark[0] {
		return 0, nil
	}
	head := string(untrusted[:min(len(untrusted), MaxInsertHeader)])
	digits, marked := strings.CutPrefix(head, insertMark)
	switch {
	case !marked && strings.HasPrefix(insertMark, head):
		return 0, ErrCut
	case !marked:
		return 0, nil
	}
	digits, _, found := strings.Cut(digits, "\n")
	n, err := strconv.Atoi(digits)
	begin = len(insertMark) + len(digits) + 1
	if !found || err != nil || strconv.Itoa(n) != digits || n != len(untrusted)-begin {
		return 0, ErrCut
	}
	return begin, nil
}
