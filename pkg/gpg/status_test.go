package gpg

import (
	"strings"
	"testing"
)

// Whatever the lines: a message counts only if one was decrypted and its integrity
// holds, and an exit code other than 0 never is one.
func FuzzStatus(f *testing.F) {
	good := "[GNUPG:] ENC_TO 1 18 0\n[GNUPG:] DECRYPTION_KEY 1 1 u\n[GNUPG:] PLAINTEXT 62 0 \n[GNUPG:] DECRYPTION_OKAY\n[GNUPG:] GOODMDC\n"
	for _, s := range []string{good, good + good, good + "[GNUPG:] BADMDC\n", "", "x\n", "[GNUPG:] \n", "[GNUPG:] ERROR pkdecrypt_failed 67108963\n", "[GNUPG:] ERROR\n[GNUPG:] VALIDSIG\n"} {
		f.Add(s, 0)
	}
	f.Fuzz(func(t *testing.T, untrusted string, exit int) {
		s, err := readStatus(strings.NewReader(untrusted))
		if err != nil || s.decrypted(exit) != nil {
			return
		}
		if exit != 0 || strings.Count(untrusted, "GOODMDC") == 0 || strings.Count(untrusted, "DECRYPTION_OKAY") == 0 || strings.Contains(untrusted, "[GNUPG:] BADMDC\n") {
			t.Errorf("%q with exit code %d counts", untrusted, exit)
		}
	})
}
