package gpg_test

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/splitvault/splitvault/pkg/gpg"
	"github.com/splitvault/splitvault/pkg/gpg/gpgtest"
	"github.com/splitvault/splitvault/pkg/secret"
	"github.com/splitvault/splitvault/test/stub"
)

// A message as GnuPG 2.4 writes it for a key that says it may (AEAD, in chunks of 1 KiB), and
// its key. GnuPG 2.2 reads them and writes none.
//
//go:embed testdata/ocb.gpg
var ocb []byte

//go:embed testdata/ocb-key.gpg
var ocbKey []byte

func decrypt(t *testing.T, r gpg.Runner, message []byte, unlock bool) (string, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "message")
	if err := os.WriteFile(path, message, 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var out secret.Buffer
	defer out.Wipe()
	err = r.Decrypt(t.Context(), file, unlock, &out)
	return string(out.Bytes()), err
}

// What is not one whole encrypted message gives not one byte, though gpg itself
// has written some.
func TestWholeOrNothing(t *testing.T) {
	t.Parallel()
	k := gpgtest.New(t)
	k.Locked(t)
	k.GPG(t, ocbKey, "--import")
	ocbChanged := bytes.Clone(ocb)
	ocbChanged[len(ocb)-5] ^= 1
	good := k.Encrypt(t, "hunter2\n", "vault@example.invalid")
	damaged := bytes.Clone(good)
	damaged[len(damaged)-5] ^= 1
	for _, row := range []struct {
		name    string
		message []byte
		want    string
		err     error
	}{
		{"good", good, "hunter2\n", nil},
		{"binary", k.Encrypt(t, "a\x00b\xff", "vault@example.invalid"), "a\x00b\xff", nil},
		{"empty inside", k.Encrypt(t, "", "vault@example.invalid"), "", nil},
		{"armoured", k.GPG(t, good, "--enarmor"), "hunter2\n", nil},
		{"armoured message", k.GPG(t, []byte("x\n"), "--trust-model", "always", "--armor", "-e", "-r", "vault@example.invalid"), "x\n", nil},
		{"the key is one of two", k.Encrypt(t, "two\n", "locked@example.invalid", "vault@example.invalid"), "two\n", nil},
		{"hidden recipient", k.GPG(t, []byte("h\n"), "--trust-model", "always", "-e", "-R", "vault@example.invalid"), "h\n", nil},
		{"of 1 MiB", k.Encrypt(t, strings.Repeat("x", 1<<20), "vault@example.invalid"), strings.Repeat("x", 1<<20), nil},
		{"of 1 MiB and a byte", k.Encrypt(t, strings.Repeat("x", 1<<20+1), "vault@example.invalid"), "", secret.ErrTooLarge},
		{"a bomb", k.GPG(t, make([]byte, 32<<20), "--trust-model", "always", "-e", "-r", "vault@example.invalid"), "", secret.ErrTooLarge},
		{"changed: its integrity does not hold", damaged, "", gpg.ErrBad},
		{"cut short", good[:len(good)-10], "", gpg.ErrBad},
		{"cut shorter", good[:20], "", gpg.ErrBad},
		{"twice", append(bytes.Clone(good), good...), "", gpg.ErrBad},
		{"with something behind", append(bytes.Clone(good), "tail"...), "", gpg.ErrBad},
		{"OCB", ocb, strings.Repeat("hunter2\n", 400), nil},
		{"OCB, changed", ocbChanged, "", gpg.ErrBad},
		{"OCB, cut short", ocb[:len(ocb)-10], "", gpg.ErrBad},
		{"OCB, cut after a chunk", ocb[:len(ocb)/2], "", gpg.ErrBad},
		{"never encrypted", k.GPG(t, []byte("planted\n"), "--store"), "", gpg.ErrBad},
		{"signed, not encrypted", k.GPG(t, []byte("planted\n"), "--local-user", "vault@example.invalid", "--sign"), "", gpg.ErrBad},
		{"with a passphrase of its own", k.GPG(t, []byte("x\n"), "--pinentry-mode", "loopback", "--passphrase", "x", "-c"), "", gpg.ErrBad},
		{"no message", []byte("-----BEGIN PGP MESSAGE-----\n"), "", gpg.ErrBad},
		{"text", []byte("[GNUPG:] DECRYPTION_OKAY\n[GNUPG:] GOODMDC\n"), "", gpg.ErrBad},
		{"empty", nil, "", gpg.ErrBad},
		{"locked", k.Encrypt(t, "x\n", "locked@example.invalid"), "", gpg.ErrLocked},
		{"another's", gpgtest.New(t).Encrypt(t, "x\n", "vault@example.invalid"), "", gpg.ErrNoKey},
		{"status lines in the text", k.Encrypt(t, "[GNUPG:] BADMDC\n", "vault@example.invalid"), "[GNUPG:] BADMDC\n", nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			got, err := decrypt(t, k.Runner, row.message, false)
			if row.name == "with something behind" && err == nil && got == "hunter2\n" {
				return // trailing bytes that are no packet do not belong to the message
			}
			if got != row.want || !errors.Is(err, row.err) {
				t.Errorf("got %.20q, %v, want %.20q, %v", got, err, row.want, row.err)
			}
		})
	}
}

// Without unlock a locked key raises no pinentry, even if one would answer.
func TestNobodyIsAskedUnlessARuleSaysSo(t *testing.T) {
	t.Parallel()
	k := gpgtest.New(t)
	k.Locked(t)
	asked := k.Pinentry(t, "pp")
	message := k.Encrypt(t, "secret\n", "locked@example.invalid")
	if got, err := decrypt(t, k.Runner, message, false); got != "" || !errors.Is(err, gpg.ErrLocked) || asked() != 0 {
		t.Errorf("got %q, %v, asked %d times", got, err, asked())
	}
	if got, err := decrypt(t, k.Runner, message, true); got != "secret\n" || err != nil || asked() != 1 {
		t.Errorf("got %q, %v, asked %d times", got, err, asked())
	}
	// It is unlocked now: no rule is needed.
	if got, err := decrypt(t, k.Runner, message, false); got != "secret\n" || err != nil || asked() != 1 {
		t.Errorf("got %q, %v, asked %d times", got, err, asked())
	}
}

func TestAPersonWhoCancelsLeavesItLocked(t *testing.T) {
	t.Parallel()
	k := gpgtest.New(t) // its pinentry is /bin/false
	k.Locked(t)
	message := k.Encrypt(t, "secret\n", "locked@example.invalid")
	if got, err := decrypt(t, k.Runner, message, true); got != "" || !errors.Is(err, gpg.ErrLocked) {
		t.Errorf("got %q, %v", got, err)
	}
}

// program writes a shell script that stands for gpg.
func program(t *testing.T, script string) gpg.Runner {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gpg")
	stub.Script(t, path, script)
	return gpg.Runner{Program: path, Env: []string{"PATH=/usr/bin:/bin"}}
}

const goodStatus = `printf '[GNUPG:] %s\n' 'ENC_TO 1 18 0' 'DECRYPTION_KEY 1 1 u' BEGIN_DECRYPTION 'PLAINTEXT 62 0 ' DECRYPTION_OKAY GOODMDC END_DECRYPTION >&3
`

func TestAnythingButAGoodEndGivesNothing(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"good":                "echo half\n" + goodStatus,
		"killed half-way":     "echo half\n" + goodStatus + "kill -9 $$\n",
		"exit code":           "echo half\n" + goodStatus + "exit 2\n",
		"no integrity":        "echo half\n" + strings.Replace(goodStatus, " GOODMDC", "", 1),
		"not okay":            "echo half\n" + strings.Replace(goodStatus, " DECRYPTION_OKAY", "", 1),
		"no key":              "echo half\n" + strings.Replace(goodStatus, "'DECRYPTION_KEY 1 1 u' ", "", 1),
		"twice":               "echo half\n" + goodStatus + goodStatus,
		"a bad one after it":  "echo half\n" + goodStatus + "echo '[GNUPG:] BADMDC' >&3\n",
		"odd status":          "echo half\n" + goodStatus + "echo DECRYPTION_OKAY >&3\n",
		"an endless line":     "echo half\n" + goodStatus + "head -c 100000 /dev/zero | tr '\\0' x >&3\n",
		"endless status":      "echo half\n" + goodStatus + "yes '[GNUPG:] PROGRESS' >&3\n",
		"endless output":      goodStatus + "yes\n",
		"status in the text":  strings.Replace(goodStatus, ">&3", "", 1),
		"nothing":             "",
		"only a killed child": "sleep 3 & echo half\nkill -9 $!\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := decrypt(t, program(t, script), nil, false)
			if name == "good" {
				if got != "half\n" || err != nil {
					t.Errorf("got %q, %v", got, err)
				}
				return
			}
			if got != "" || err == nil {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
	t.Run("no program", func(t *testing.T) {
		t.Parallel()
		if got, err := decrypt(t, gpg.Runner{Program: "/nonexistent"}, nil, false); got != "" || err == nil {
			t.Errorf("got %q, %v", got, err)
		}
	})
}

// A gpg that hangs, or leaves a child behind with its output open, ends with its caller's patience.
func TestAHangingGPGIsEnded(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"hangs":           "echo half; exec sleep 1000\n",
		"leaves a child":  "echo half\nsleep 3 &\nexit 0\n",
		"ignores signals": "trap '' TERM HUP INT\necho half\nwhile :; do sleep 1; done\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			var out secret.Buffer
			defer out.Wipe()
			null, err := os.Open(os.DevNull)
			if err != nil {
				t.Fatal(err)
			}
			defer null.Close()
			start := time.Now()
			err = program(t, script).Decrypt(ctx, null, false, &out)
			if err == nil || out.Len() != 0 || time.Since(start) > 20*time.Second {
				t.Errorf("got %q, %v after %v", out.Bytes(), err, time.Since(start))
			}
			if name != "leaves a child" && !errors.Is(err, gpg.ErrUnfinished) {
				t.Errorf("%v is not that it did not end", err)
			}
		})
	}
}

// Of a gpg that was killed nobody may say that the entry is damaged.
func TestAKilledGPGSaysNothingAboutTheMessage(t *testing.T) {
	t.Parallel()
	if got, err := decrypt(t, program(t, "kill -9 $$\n"), nil, false); got != "" || !errors.Is(err, gpg.ErrUnfinished) {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestEncrypt(t *testing.T) {
	t.Parallel()
	k := gpgtest.New(t)
	var plain secret.Buffer
	defer plain.Wipe()
	if _, err := plain.Write([]byte(strings.Repeat("pässwörd\n", 20_000))); err != nil {
		t.Fatal(err)
	}
	message, err := k.Runner.Encrypt(t.Context(), []string{"vault@example.invalid"}, &plain)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := decrypt(t, k.Runner, message, false); got != string(plain.Bytes()) || err != nil {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	for name, ids := range map[string][]string{
		"nobody": nil, "unknown": {"nobody@example.invalid"}, "one unknown": {"vault@example.invalid", "nobody@example.invalid"},
		"an option": {"--output=/tmp/x"}, "a line": {"a\nb"}, "empty": {""},
	} {
		if got, err := k.Runner.Encrypt(t.Context(), ids, &plain); got != nil || !errors.Is(err, gpg.ErrRecipient) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
}

// What a store names must not make gpg ask the network, nor leave a program of its
// own behind.
func TestAttackAStoresRecipientIsNotLookedUp(t *testing.T) {
	t.Parallel()
	k := gpgtest.New(t)
	var plain secret.Buffer
	defer plain.Wipe()
	if _, err := k.Runner.Encrypt(t.Context(), []string{"attacker@example.invalid"}, &plain); !errors.Is(err, gpg.ErrRecipient) {
		t.Error(err)
	}
	for _, left := range []string{"S.dirmngr", "crls.d"} {
		if _, err := os.Lstat(filepath.Join(k.Home, left)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("dirmngr was started: %s, %v", left, err)
		}
	}
}

// A key that came from elsewhere, as by a .gpg-id that another wrote, is not
// trusted, and so nothing is encrypted to it.
func TestNothingIsEncryptedToAKeyThatIsNotTrusted(t *testing.T) {
	t.Parallel()
	k := gpgtest.New(t)
	other := gpgtest.New(t)
	k.GPG(t, other.GPG(t, nil, "--export", other.Fingerprint), "--import")
	var plain secret.Buffer
	defer plain.Wipe()
	if got, err := k.Runner.Encrypt(t.Context(), []string{other.Fingerprint}, &plain); got != nil || !errors.Is(err, gpg.ErrRecipient) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	k := gpgtest.New(t)
	data := []byte("vault@example.invalid\n")
	signature := k.GPG(t, data, "--local-user", k.Fingerprint, "--detach-sign")
	got, err := k.Runner.Verify(t.Context(), data, signature)
	if err != nil || len(got) == 0 || got[len(got)-1] != k.Fingerprint {
		t.Errorf("got %v, %v", got, err)
	}
	for name, row := range map[string][2][]byte{
		"other data":   {[]byte("attacker@example.invalid\n"), signature},
		"no signature": {data, nil},
		"garbage":      {data, []byte("x")},
		"not detached": {data, k.GPG(t, data, "--local-user", k.Fingerprint, "--sign")},
		"unknown key":  {data, func() []byte { o := gpgtest.New(t); return o.GPG(t, data, "--detach-sign") }()},
	} {
		if got, err := k.Runner.Verify(t.Context(), row[0], row[1]); err == nil {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestTheAgentIsStarted(t *testing.T) {
	t.Parallel()
	k := gpgtest.New(t)
	env := map[string]string{"GNUPGHOME": k.Home}
	if out, err := exec.Command("/usr/bin/gpgconf", "--homedir", k.Home, "--kill", "gpg-agent").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	message := k.Encrypt(t, "x\n", "vault@example.invalid")
	if got, err := decrypt(t, k.Runner, message, false); got != "" || err == nil {
		t.Errorf("without an agent: %q, %v", got, err)
	}
	if err := k.Runner.StartAgent(t.Context(), t.TempDir(), func(key string) string { return env[key] }); err != nil {
		t.Fatal(err)
	}
	if got, err := decrypt(t, k.Runner, message, false); got != "x\n" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}
