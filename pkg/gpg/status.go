package gpg

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

var (
	// ErrUnfinished says that gpg was killed, or had not ended in time: nothing is
	// said about the message.
	ErrUnfinished = errors.New("gpg did not come to its end")
	// ErrLocked says that the key is there, but its passphrase was not given.
	ErrLocked = errors.New("the key is locked, and its passphrase was not given")
	// ErrNoKey says that the message is for other keys.
	ErrNoKey = errors.New("no secret key for this message")
	// ErrBad says that there is no whole message: damaged, changed, cut short, not
	// encrypted at all, or with a passphrase of its own.
	ErrBad = errors.New("not one whole message, encrypted to a key, whose integrity holds")
)

const (
	maxStatusLine = 4096 // bytes
	maxStatus     = 1000 // lines
	statusPrefix  = "[GNUPG:] "
)

// status is what the status lines of one run say.
type status struct {
	okay, goodMDC, plaintexts   int
	key, considered, recipients bool
	began                       bool // it had the whole message before it
	symmetric, damaged          bool
	cancelled, noKey            bool     // of ERROR pkdecrypt_failed
	invalidRecipients           []string // reasons of INV_RECP
	valid                       []string // fingerprints of VALIDSIG
	badSignature                bool
}

// readStatus reads the lines to their end. What is no status line is an error:
// nobody else writes to that descriptor.
func readStatus(untrusted io.Reader) (status, error) {
	var s status
	scanner := bufio.NewScanner(untrusted)
	scanner.Buffer(make([]byte, maxStatusLine), maxStatusLine)
	for lines := 0; scanner.Scan(); lines++ {
		line, found := strings.CutPrefix(scanner.Text(), statusPrefix)
		if !found || lines == maxStatus {
			return status{}, fmt.Errorf("%w: gpg's status has odd lines", ErrBad)
		}
		s.line(line)
	}
	if err := scanner.Err(); err != nil {
		return status{}, fmt.Errorf("reading gpg's status: %w", err)
	}
	return s, nil
}

func (s *status) line(line string) {
	words := strings.Fields(line)
	if len(words) == 0 {
		return
	}
	switch words[0] {
	case "ENC_TO":
		s.recipients = true
	case "KEY_CONSIDERED":
		s.considered = s.considered || s.recipients
	case "BEGIN_DECRYPTION":
		s.began = true
	case "DECRYPTION_KEY":
		s.key = true
	case "PLAINTEXT":
		s.plaintexts++
	case "DECRYPTION_OKAY":
		s.okay++
	case "GOODMDC":
		s.goodMDC++
	case "NEED_PASSPHRASE_SYM":
		s.symmetric = true
	case "BADMDC", "DECRYPTION_FAILED", "NODATA", "UNEXPECTED", "FAILURE":
		s.damaged = true
	case "ERROR":
		s.failed(words[1:])
	case "INV_RECP":
		s.invalidRecipients = append(s.invalidRecipients, word(words, 1))
	case "VALIDSIG":
		// The key that signed, and last its primary key.
		s.valid = append(s.valid, word(words, 1), words[len(words)-1])
	case "BADSIG", "ERRSIG", "EXPSIG", "REVKEYSIG":
		s.badSignature = true
	}
}

// failed takes the arguments of ERROR: where, and a number of libgpg-error, of
// which the lower half is the code (gpg-error.h).
func (s *status) failed(words []string) {
	const (
		codeNoSecretKey = 17
		codeBadPass     = 11
		codeNoPinentry  = 85
		codeCancelled   = 99
		codeNoPassword  = 177
		codeFully       = 198
	)
	s.damaged = true
	if word(words, 0) != "pkdecrypt_failed" {
		return
	}
	n, err := strconv.ParseUint(strings.SplitN(word(words, 1), "_", 2)[0], 10, 64)
	if err != nil {
		return
	}
	switch n & 0xffff {
	case codeNoSecretKey:
		s.noKey = true
	case codeBadPass, codeNoPinentry, codeCancelled, codeNoPassword, codeFully:
		s.cancelled = true
	}
}

func word(words []string, i int) string {
	if i < len(words) {
		return words[i]
	}
	return ""
}

// decrypted tells whether one message was decrypted whole; exit is gpg's exit code.
func (s *status) decrypted(exit int) error {
	switch {
	case exit == 0 && s.key && s.okay == 1 && s.goodMDC == 1 && s.plaintexts == 1 && !s.symmetric && !s.damaged:
		return nil
	case s.symmetric || s.key || s.plaintexts > 0:
		return ErrBad
	case s.cancelled:
		return ErrLocked
	case s.noKey:
		return ErrNoKey
	case !s.began:
		// GnuPG 2.4 ends there with a message in chunks (OCB) that is cut short.
		return ErrBad
	case s.recipients && s.considered:
		// GnuPG 2.2 says no more than this of a locked key.
		return ErrLocked
	case s.recipients:
		return ErrNoKey
	default:
		return ErrBad
	}
}
