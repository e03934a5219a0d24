// Package gpgtest makes real keyrings for tests, with a gpg-agent of their own.
package gpgtest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/splitvault/splitvault/pkg/gpg"
)

// Keyring is a GNUPGHOME with the key of vault@example.invalid, which has no
// passphrase.
type Keyring struct {
	Home        string
	Fingerprint string
	Runner      gpg.Runner
}

// New makes a keyring, and ends its agent with the test.
func New(t testing.TB) *Keyring {
	t.Helper()
	if _, err := exec.LookPath("gpg"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("gpg is missing")
		}
		t.Skip("gpg is missing")
	}
	// The agent's socket is in it: the path must be short.
	home, err := os.MkdirTemp("", "gpg")
	if err != nil {
		t.Fatal(err)
	}
	k := &Keyring{Home: home, Runner: gpg.Runner{
		Program: "/usr/bin/gpg", Env: []string{"PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8", "HOME=" + home, "GNUPGHOME=" + home},
	}}
	t.Cleanup(func() {
		_ = k.command("gpgconf", "--kill", "gpg-agent").Run() // it may have been ended
		os.RemoveAll(home)
	})
	k.write(t, "gpg-agent.conf", "allow-loopback-pinentry\ns2k-count 65536\npinentry-program /bin/false\n")
	k.GPG(t, nil, "--passphrase", "", "--quick-generate-key", "Test Vault <vault@example.invalid>", "future-default", "default", "never")
	for line := range strings.Lines(string(k.GPG(t, nil, "--list-keys", "--with-colons"))) {
		if fields := strings.Split(line, ":"); fields[0] == "fpr" {
			k.Fingerprint = fields[9]
			break
		}
	}
	return k
}

// Locked adds the key of locked@example.invalid, whose passphrase is "pp", and
// locks it.
func (k *Keyring) Locked(t testing.TB) {
	t.Helper()
	k.GPG(t, nil, "--pinentry-mode", "loopback", "--passphrase", "pp",
		"--quick-generate-key", "Locked <locked@example.invalid>", "future-default", "default", "never")
	k.Lock(t)
}

// Lock makes the agent forget passphrases.
func (k *Keyring) Lock(t testing.TB) {
	t.Helper()
	if out, err := k.command("gpg-connect-agent", "reloadagent", "/bye").CombinedOutput(); err != nil {
		t.Fatalf("locking: %v\n%s", err, out)
	}
}

// Pinentry makes a program that answers with a passphrase the agent's pinentry,
// and returns how often it was asked.
func (k *Keyring) Pinentry(t testing.TB, passphrase string) (asked func() int) {
	t.Helper()
	count := filepath.Join(k.Home, "asked")
	path := k.write(t, "pinentry", fmt.Sprintf(`#!/bin/sh
echo OK
while read -r line; do
	case $line in
	GETPIN*) echo x >>%s; echo 'D %s'; echo OK ;;
	BYE*) echo OK; exit ;;
	*) echo OK ;;
	esac
done
`, count, passphrase))
	if err := os.Chmod(path, 0o700); err != nil {
		t.Fatal(err)
	}
	k.write(t, "gpg-agent.conf", "allow-loopback-pinentry\ns2k-count 65536\npinentry-program "+path+"\n")
	k.Lock(t)
	return func() int {
		b, err := os.ReadFile(count)
		if err != nil {
			return 0
		}
		return bytes.Count(b, []byte("\n"))
	}
}

// Encrypt encrypts a text.
func (k *Keyring) Encrypt(t testing.TB, text string, to ...string) []byte {
	t.Helper()
	args := []string{"--trust-model", "always", "-e"}
	for _, id := range to {
		args = append(args, "-r", id)
	}
	return k.GPG(t, []byte(text), args...)
}

// GPG runs gpg.
func (k *Keyring) GPG(t testing.TB, stdin []byte, args ...string) []byte {
	t.Helper()
	cmd := k.command("gpg", append([]string{"--batch", "--quiet", "--no-tty"}, args...)...)
	cmd.Stdin = bytes.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("gpg %s: %v\n%s", strings.Join(args, " "), err, stderr.Bytes())
	}
	return out
}

func (k *Keyring) command(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(program, args...)
	cmd.Env = k.Runner.Env
	return cmd
}

func (k *Keyring) write(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(k.Home, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
