package signer

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// ErrNotBuilt says that there is no Clef to run.
var ErrNotBuilt = errors.New("no Clef of version " + Version + ": just clef")

// Binary returns the path of the real Clef.
func Binary() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	path := filepath.Join(cache, "splitvault", "clef-"+Version, "clef")
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%w: %w", ErrNotBuilt, err)
	}
	return path, nil
}

// Home makes a home directory for Clef: .clef with a master seed, attested rules and
// the account's password, and the account in .ethereum/keystore.
func Home(ctx context.Context, dir string) error {
	clef, err := Binary()
	if err != nil {
		return err
	}
	config, keys := filepath.Join(dir, ".clef"), filepath.Join(dir, ".ethereum", "keystore")
	for _, d := range []string{config, keys} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return err
		}
	}
	key, rules := filepath.Join(dir, "key"), filepath.Join(config, "rules.js")
	if err := errors.Join(os.WriteFile(key, []byte(fixedKey), 0o600), os.WriteFile(rules, []byte(RulesJS), 0o600)); err != nil {
		return err
	}
	defer os.Remove(key)
	common := []string{"--lightkdf", "--suppress-bootwarn", "--configdir", config, "--keystore", keys}
	for _, step := range []struct {
		words []string
		args  []string
	}{
		{[]string{masterPassword, masterPassword}, append(common, "init")},
		{[]string{accountPassword, accountPassword}, []string{"importraw", "--lightkdf", "--suppress-bootwarn", "--keystore", keys, key}},
		{[]string{masterPassword}, append(common, "attest", fmt.Sprintf("%x", sha256.Sum256([]byte(RulesJS))))},
		{[]string{accountPassword, accountPassword, masterPassword}, append(common, "setpw", Account)},
	} {
		cmd := exec.CommandContext(ctx, clef, step.args...)
		cmd.Dir = dir
		cmd.Stdin = strings.NewReader(strings.Join(step.words, "\n") + "\n")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("clef %s: %w: %s", strings.Join(step.args, " "), err, out)
		}
	}
	return nil
}

// Args are the arguments with which Clef serves a home, over IPC and at a port.
func Args(home string, port int) []string {
	config := filepath.Join(home, ".clef")
	return []string{
		"--nousb", "--pcscdpath", "", "--lightkdf", "--suppress-bootwarn", "--configdir", config,
		"--keystore", filepath.Join(home, ".ethereum", "keystore"), "--chainid", "1337", "--http", "--http.port", fmt.Sprint(port),
		"--rules", filepath.Join(config, "rules.js"), "--auditlog", filepath.Join(config, "audit.log"), "--4bytedb-custom", filepath.Join(config, "4byte.json"),
	}
}
