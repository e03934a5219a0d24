package passentry_test

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/splitvault/splitvault/pkg/entryname"
	"github.com/splitvault/splitvault/pkg/passentry"
)

const sample = "s3cret: with colon\r\nLogin: alice\n  url : https://example.com/x \n\nPIN: 1234\npin: 9\nnote\nuser: bob\n" +
	"otpauth://totp/Ex:alice?secret=JBSWY3DPEHPK3PXP\ntotp: JBSWY3DPEHPK3PXP\nbackup: otpauth://totp/x?secret=AAAA\nempty:\n"

func TestField(t *testing.T) {
	t.Parallel()
	for field, want := range map[entryname.Field]string{
		"password": "s3cret: with colon", "login": "alice", "url": "https://example.com/x", "pin": "1234", "line.2": "Login: alice", "line.7": "note",
		// Not there, empty, or what codes are computed from.
		"s3cret": "", "line.4": "", "line.9": "", "line.10": "", "line.11": "", "backup": "", "empty": "", "line.99": "", "https": "", "note": "", "other": "",
	} {
		got, err := passentry.Field([]byte(sample), field)
		if string(got) != want || (want == "") != errors.Is(err, passentry.ErrNoField) {
			t.Errorf("%s: %q, %v, want %q", field, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"no newline": "no newline", "\n\nthird\n": "", "": "", "-n\n": "-n", "  spaces  \n": "  spaces  ", "a\x00b\n": "a\x00b", "\r\n": "",
		"otpauth://totp/ACME:bob?secret=GEZDGNBV": "", "OTPAUTH://totp/x?secret=A": "", "pw otpauth://hotp/x?secret=A": "",
		"otpauth-migration://offline?data=AAAA": "", "Steam://ABCDEF": "",
	} {
		got, err := passentry.Field([]byte(text), entryname.Password)
		if string(got) != want || (want == "") != errors.Is(err, passentry.ErrNoField) {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}

// The table of RFC 6238, appendix B, whose seeds are as long as each hash.
func TestOTPIsThatOfTheRFC(t *testing.T) {
	t.Parallel()
	const seed1 = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
	const seed256 = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZA"
	const seed512 = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZDGNA"
	for at, want := range map[int64][3]string{
		59:          {"94287082", "46119246", "90693936"},
		1111111109:  {"07081804", "68084774", "25091201"},
		1111111111:  {"14050471", "67062674", "99943326"},
		1234567890:  {"89005924", "91819424", "93441116"},
		2000000000:  {"69279037", "90698825", "38618901"},
		20000000000: {"65353130", "77737706", "47863826"},
	} {
		for i, address := range []string{
			"secret=" + seed1 + "&algorithm=SHA1", "algorithm=sha256&secret=" + seed256, "secret=" + seed512 + "&algorithm=SHA512",
		} {
			text := "pw\notpauth://totp/ACME:bob?" + address + "&digits=8&period=30\n"
			if got, err := passentry.OTP([]byte(text), time.Unix(at, 0)); got != want[i] || err != nil {
				t.Errorf("%d, %s: %q, %v, want %q", at, address, got, err, want[i])
			}
		}
	}
}

func TestOTPOfOtherForms(t *testing.T) {
	t.Parallel()
	now := time.Unix(59, 0)
	const code = "287082"
	for _, text := range []string{
		"otpauth://totp/x?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
		"pw\nTOTP: gezd gnbv gy3t qojq gezd gnbv gy3t qojq\n",
		"pw\notp: otpauth://totp/x?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ%3D%3d\n",
		"pw\n  OTPAUTH://TOTP/x?issuer=y&SECRET=gezdgnbvgy3tqojqgezdgnbvgy3tqojq&period=30\r\n",
		"pw\notpauth: GEZD-GNBV-GY3T-QOJQ-GEZD-GNBV-GY3T-QOJQ====\n",
	} {
		if got, err := passentry.OTP([]byte(text), now); got != code || err != nil {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for text, want := range map[string]error{
		"":               passentry.ErrNoField,
		"totp: GEZDGNBV": passentry.ErrNoField, // the first line is the password
		"pw\nlogin: x\n": passentry.ErrNoField,
		"otpauth://hotp/Z:carl?secret=JBSWY3DPEHPK3PXP&counter=1\n": passentry.ErrHOTP,
		"otpauth://totp/x?secret=":                                  passentry.ErrOTP,
		"otpauth://totp/x":                                          passentry.ErrOTP,
		"otpauth://xotp/x?secret=AAAA":                              passentry.ErrOTP,
		"otpauth://totp/x?secret=A!":                                passentry.ErrOTP,
		"otpauth://totp/x?secret=A":                                 passentry.ErrOTP,
		"otpauth://totp/x?secret=AAAA&digits=9":                     passentry.ErrOTP,
		"otpauth://totp/x?secret=AAAA&digits=-6":                    passentry.ErrOTP,
		"otpauth://totp/x?secret=AAAA&period=0":                     passentry.ErrOTP,
		"otpauth://totp/x?secret=AAAA&algorithm=MD5":                passentry.ErrOTP,
		"pw\ntotp: " + strings.Repeat("A", 1000):                    passentry.ErrOTP,
	} {
		if got, err := passentry.OTP([]byte(text), now); got != "" || !errors.Is(err, want) {
			t.Errorf("%q: %q, %v, want %v", text, got, err, want)
		}
	}
}

func TestOTPAgreesWithOathtool(t *testing.T) {
	t.Parallel()
	tool, err := exec.LookPath("oathtool")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("oathtool is missing")
		}
		t.Skip("oathtool is missing")
	}
	for _, seed := range []string{"JBSWY3DPEHPK3PXP", "GEZDGNBV", strings.Repeat("MFRGG", 40)} {
		for _, at := range []string{"1970-01-01 00:00:00 UTC", "2026-05-04 03:02:01 UTC"} {
			out, err := exec.Command(tool, "-b", "--totp", "-N", at, seed).Output()
			if err != nil {
				t.Fatal(err)
			}
			now, err := time.Parse("2006-01-02 15:04:05 MST", at)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := passentry.OTP([]byte("pw\ntotp: "+seed+"\n"), now); got != strings.TrimSpace(string(out)) || err != nil {
				t.Errorf("%s at %s: %q, %v, oathtool says %s", seed, at, got, err, out)
			}
		}
	}
}

// Whatever the text: nothing of a line from which codes are computed is a field.
func FuzzEntry(f *testing.F) {
	f.Add([]byte(sample), "login")
	f.Add([]byte("otpauth://totp/x?secret=GEZDGNBV&digits=8"), "password")
	f.Add([]byte("a:b\notp:GEZD"), "line.2")
	f.Fuzz(func(t *testing.T, untrusted []byte, untrustedField string) {
		if code, err := passentry.OTP(untrusted, time.Unix(59, 0)); err == nil && (len(code) < 5 || len(code) > 8 || strings.Trim(code, "0123456789") != "") {
			t.Errorf("the code is %q", code)
		}
		field, err := entryname.ParseField(untrustedField)
		if err != nil {
			return
		}
		value, err := passentry.Field(untrusted, field)
		if err != nil {
			return
		}
		if strings.Contains(strings.ToLower(string(value)), "otpauth://") || strings.Contains(string(value), "\n") || !strings.Contains(string(untrusted), string(value)) {
			t.Errorf("%s of %q is %q", field, untrusted, value)
		}
	})
}
